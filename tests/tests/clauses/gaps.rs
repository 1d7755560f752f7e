//! Compares clauses, recipes and tests.

use std::collections::BTreeSet;

use crate::table::{Clause, Recipes};

/// Returns what is missing or superfluous. `test_problem` returns what is wrong with the test of a name.
pub(crate) fn problems(
    clauses: &[Clause],
    recipes: &Recipes,
    test_problem: &mut dyn FnMut(&str) -> Option<String>,
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut ids = BTreeSet::new();
    for clause in clauses {
        let id = &clause.id;
        if !ids.insert(id.as_str()) {
            problems.push(format!("{id}: the id occurs twice"));
        }
        let own = clause.cases(recipes);
        if own.is_empty() && clause.tests.is_empty() {
            problems.push(format!("{id}: has no test"));
        }
        for name in own {
            if recipes[name] != format!("# {}", clause.sentence) {
                problems.push(format!("{name}.recipe: does not begin with the clause"));
            }
        }
        for test in &clause.tests {
            if let Some(problem) = test_problem(test) {
                problems.push(format!("{id}: {test}: {problem}"));
            }
        }
    }
    for name in recipes.keys() {
        let id = name.split('@').next().unwrap_or_default();
        if !ids.contains(id) {
            problems.push(format!("{name}.recipe: no clause has this id"));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::parse;

    const TABLE: &str = "| id | clause | oracles | other tests |\n|---|---|---|---|\n\
        | `a/one` | The first. | all |  |\n| `a/two` | The second. | bytes | `p::b::t`, `p::lib::u` |\n";

    fn problems_of(table: &str, recipes: &[(&str, &str)], missing: &str) -> Vec<String> {
        let recipes = recipes
            .iter()
            .map(|(name, line)| ((*name).to_owned(), (*line).to_owned()))
            .collect();
        problems(&parse(table).unwrap(), &recipes, &mut |test| {
            (test == missing).then(|| "does not exist".to_owned())
        })
    }

    #[test]
    fn a_whole_table_has_no_problems() {
        let one = ("a/one", "# The first.");
        assert!(problems_of(TABLE, &[one], "").is_empty());
        assert!(problems_of(TABLE, &[("a/one@case", "# The first."), one], "").is_empty());
    }

    #[test]
    fn each_kind_of_gap_is_seen() {
        let one = ("a/one", "# The first.");
        assert_eq!(problems_of(TABLE, &[], ""), ["a/one: has no test"]);
        assert_eq!(
            problems_of(TABLE, &[one], "p::lib::u"),
            ["a/two: p::lib::u: does not exist"]
        );
        assert_eq!(
            problems_of(TABLE, &[one, ("a/three@x", "# ?")], ""),
            ["a/three@x.recipe: no clause has this id"]
        );
        assert_eq!(
            problems_of(TABLE, &[("a/one", "# Another.")], ""),
            ["a/one.recipe: does not begin with the clause"]
        );
        let twice = format!("{TABLE}| `a/one` | The first. | all |  |\n");
        assert_eq!(
            problems_of(&twice, &[one], ""),
            ["a/one: the id occurs twice"]
        );
        assert!(parse("# nothing\n").is_err());
        assert!(parse("| `a/one` | The first. | all |\n").is_err());
        assert!(parse("| `a/one` | The first. |  | `p::b::t` |\n").is_err());
    }
}
