//! The promises of `docs/security.md`: each row of a table of promises ends with the tests of the promise.

/// Marks a promise whose test does not exist yet.
const UNTESTED: &str = "not yet tested";

/// Returns what is wrong with the promises. `test_problem` returns what is wrong with the test of a name.
pub(crate) fn problems(
    text: &str,
    test_problem: &mut dyn FnMut(&str) -> Option<String>,
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut has_promises = false;
    let mut is_promises = false;
    for line in text.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        if !line.starts_with('|') {
            is_promises = false;
        } else if cells.last() == Some(&"tests") {
            is_promises = true;
        } else if is_promises && !line.starts_with("|-") {
            has_promises = true;
            let [promise, tests] = cells[..] else {
                problems.push(format!("docs/security.md: expected two cells: {line}"));
                continue;
            };
            let tests: Vec<&str> = tests
                .split(',')
                .map(|test| test.trim().trim_matches('`'))
                .filter(|test| !test.is_empty())
                .collect();
            if tests.is_empty() {
                problems.push(format!("docs/security.md: no test: {promise}"));
            }
            for test in tests.into_iter().filter(|test| *test != UNTESTED) {
                if let Some(problem) = test_problem(test) {
                    problems.push(format!("docs/security.md: {test}: {problem}"));
                }
            }
        }
    }
    if !has_promises {
        problems.push("docs/security.md: no promises".to_owned());
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(text: &str) -> Vec<String> {
        problems(text, &mut |test| {
            (test == "p::b::gone").then(|| "does not exist".to_owned())
        })
    }

    #[test]
    fn each_promise_names_tests_that_exist() {
        let table = "| promise | tests |\n|---|---|\n| One. | `p::b::t`, `p::b::u` |\n| Two. | not yet tested |\n";
        assert!(problems_of(table).is_empty());
        // A table without a column of tests has no promises.
        let other = "| limit | value |\n|---|---|\n| x | 1 |\n";
        assert!(problems_of(&format!("{other}\n{table}")).is_empty());
        let gone =
            "| promise | tests |\n|---|---|\n| One. | `p::b::gone` |\n| Two. |  |\n| a | b | c |\n";
        assert_eq!(problems_of(gone).len(), 3);
        assert_eq!(problems_of(other), ["docs/security.md: no promises"]);
    }
}
