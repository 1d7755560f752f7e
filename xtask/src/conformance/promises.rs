//! The promises of `docs/security.md`: each row of its tables ends with the tests that hold it.

/// Marks a promise whose test does not exist yet.
const UNTESTED: &str = "not yet tested";

/// Returns what is wrong with the promises, and their number. `test_problem` returns what is wrong with a test of this name.
pub(super) fn problems(
    text: &str,
    test_problem: &mut dyn FnMut(&str) -> Option<String>,
) -> (Vec<String>, usize) {
    let mut problems = Vec::new();
    let mut count = 0;
    let mut is_promises = false;
    for line in text.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        if !line.starts_with('|') {
            is_promises = false;
        } else if cells.last() == Some(&"tests") {
            is_promises = true;
        } else if is_promises && !line.starts_with("|-") {
            count += 1;
            let [promise, tests] = cells[..] else {
                problems.push(format!("docs/security.md: not two cells: {line}"));
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
    if count == 0 {
        problems.push("docs/security.md: no promises".to_owned());
    }
    (problems, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> (Vec<String>, usize) {
        problems(text, &mut |test| {
            (test == "p::b::gone").then(|| "is missing".to_owned())
        })
    }

    #[test]
    fn each_promise_names_tests_that_exist() {
        let table = "| promise | tests |\n|---|---|\n| One. | `p::b::t`, `p::b::u` |\n| Two. | not yet tested |\n";
        assert_eq!(told(table), (Vec::new(), 2));
        // Another table has no promises.
        let other = "| limit | value |\n|---|---|\n| x | 1 |\n";
        assert_eq!(told(&format!("{other}\n{table}")), (Vec::new(), 2));
        let gone =
            "| promise | tests |\n|---|---|\n| One. | `p::b::gone` |\n| Two. |  |\n| a | b | c |\n";
        assert_eq!(told(gone).0.len(), 3);
        assert_eq!(told(other).0, ["docs/security.md: no promises"]);
    }
}
