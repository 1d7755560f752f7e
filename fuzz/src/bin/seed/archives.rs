//! Archives: each dialect, each form, each fault.

mod compressed;
mod ends;
mod fields;
mod headers;
mod limits;
mod pax;
mod sparse;
mod tree;
mod xattrs;

use msb_testkit::tar;

use crate::Seeds;

pub(crate) fn seeds() -> Seeds {
    [
        headers::seeds(),
        fields::seeds(),
        pax::seeds(),
        xattrs::seeds(),
        sparse::seeds(),
        tree::seeds(),
        ends::seeds(),
        limits::seeds(),
        compressed::seeds(),
    ]
    .concat()
}

/// The names and recipes of the archives.
fn of_recipes<R: AsRef<str>>(recipes: &[(&str, R)]) -> Seeds {
    recipes
        .iter()
        .map(|(name, recipe)| (format!("{name}.tar"), tar::recipe(recipe.as_ref())))
        .collect()
}
