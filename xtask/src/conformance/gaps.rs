//! What does not fit together.

use std::collections::BTreeSet;

use super::clauses::{Clause, Recipes};

/// What is missing, or too much. `test_problem` says what is wrong with a test of this name.
pub(super) fn problems(
    clauses: &[Clause],
    recipes: &Recipes,
    test_problem: &mut dyn FnMut(&str) -> Option<String>,
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut ids = BTreeSet::new();
    for clause in clauses {
        let id = &clause.id;
        if !ids.insert(id.as_str()) {
            problems.push(format!("{id}: there are two of it"));
        }
        let own = clause.cases(recipes);
        if own.is_empty() && clause.tests.is_empty() {
            problems.push(format!("{id}: has no test"));
        }
        for name in own {
            if recipes[name] != format!("# {}", clause.sentence) {
                problems.push(format!("{name}.recipe: does not begin with its clause"));
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
            problems.push(format!("{name}.recipe: of no clause"));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::clauses::parse;
    use super::*;

    const TABLE: &str = "| id | clause | oracles | other tests |\n|---|---|---|---|\n\
        | `a/one` | The first. | all |  |\n| `a/two` | The second. | bytes | `p::b::t`, `p::lib::u` |\n";

    fn told(table: &str, recipes: &[(&str, &str)], missing: &str) -> Vec<String> {
        let recipes = recipes
            .iter()
            .map(|(name, line)| ((*name).to_owned(), (*line).to_owned()))
            .collect();
        problems(&parse(table).unwrap(), &recipes, &mut |test| {
            (test == missing).then(|| "is missing".to_owned())
        })
    }

    #[test]
    fn a_whole_table_has_no_problems() {
        let one = ("a/one", "# The first.");
        assert!(told(TABLE, &[one], "").is_empty());
        assert!(told(TABLE, &[("a/one@case", "# The first."), one], "").is_empty());
    }

    #[test]
    fn each_kind_of_gap_is_seen() {
        let one = ("a/one", "# The first.");
        assert_eq!(told(TABLE, &[], ""), ["a/one: has no test"]);
        assert_eq!(
            told(TABLE, &[one], "p::lib::u"),
            ["a/two: p::lib::u: is missing"]
        );
        assert_eq!(
            told(TABLE, &[one, ("a/three@x", "# ?")], ""),
            ["a/three@x.recipe: of no clause"]
        );
        assert_eq!(
            told(TABLE, &[("a/one", "# Another.")], ""),
            ["a/one.recipe: does not begin with its clause"]
        );
        let twice = format!("{TABLE}| `a/one` | The first. | all |  |\n");
        assert_eq!(told(&twice, &[one], ""), ["a/one: there are two of it"]);
        assert!(parse("# nothing\n").is_err());
        assert!(parse("| `a/one` | The first. | all |\n").is_err());
        assert!(parse("| `a/one` | The first. |  | `p::b::t` |\n").is_err());
    }
}
