//! The table "Vocabulary" of CONTRIBUTING.md.

/// The words that the vocabulary replaces in every sense, printed in bold in the column "not", each with the words to write.
#[derive(Debug, PartialEq)]
pub(crate) struct Vocabulary {
    rows: Vec<(String, String)>,
}

impl Vocabulary {
    /// Reads the table.
    ///
    /// # Panics
    /// If the page has no such table.
    pub(crate) fn read(page: &str) -> Self {
        let table = page.split("\n## Vocabulary\n").nth(1).unwrap();
        let table = table.split("\n## ").next().unwrap();
        let mut rows = Vec::new();
        for line in table.lines() {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            if let [_, _, instead, not, _] = cells[..] {
                let bold = not.split("**").skip(1).step_by(2);
                rows.extend(bold.map(|word| (word.to_owned(), instead.to_owned())));
            }
        }
        assert!(!rows.is_empty(), "the vocabulary has no word in bold");
        Self { rows }
    }

    /// Returns the replaced words that a text contains, also with the endings s, d, ed and ing, each with the words to write.
    pub(crate) fn faults(&self, text: &str) -> Vec<(&str, &str)> {
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let words: Vec<String> = text
            .split(|c: char| !is_word(c))
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        let is_form = |word: &str, of: &str| {
            word.strip_prefix(of)
                .is_some_and(|ending| ["", "s", "d", "ed", "ing"].contains(&ending))
        };
        let has = |phrase: &str| {
            let phrase: Vec<&str> = phrase.split(' ').collect();
            let places = words.windows(phrase.len());
            let mut places = places.map(|place| place.iter().zip(&phrase));
            places.any(|mut place| place.all(|(word, of)| is_form(word, of)))
        };
        let rows = self.rows.iter().filter(|(word, _)| has(word));
        rows.map(|(word, instead)| (&**word, &**instead)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_in_bold_are_replaced_everywhere() {
        let page = "# x\n\n## Vocabulary\n\n| concept | write | not |\n|---|---|---|\n| a | verify | **prove**, sum |\n| b | resume | **go on** |\n";
        let vocabulary = Vocabulary::read(page);
        assert_eq!(vocabulary.faults("The sum is verified."), []);
        assert_eq!(vocabulary.faults("It Proves that."), [("prove", "verify")]);
        assert_eq!(
            vocabulary.faults("it goes, on; going on"),
            [("go on", "resume")]
        );
        assert_eq!(vocabulary.faults("prover, going, improve, msb-prove"), []);
    }
}
