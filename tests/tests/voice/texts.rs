//! The texts of a file that people read.

use syn::visit::{self, Visit};

/// Returns the lines of a Markdown page with their numbers, without code blocks, code spans and the page's own table of the vocabulary.
pub(crate) fn markdown(page: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let (mut is_code, mut is_vocabulary) = (false, false);
    for (number, line) in (1..).zip(page.lines()) {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
            continue;
        } else if line.starts_with("## ") {
            is_vocabulary = line == "## Vocabulary";
        }
        if !(is_code || is_vocabulary && line.starts_with('|')) {
            let prose: Vec<&str> = line.split('`').step_by(2).collect();
            lines.push((number, prose.join("`")));
        }
    }
    lines
}

/// Returns the string literals in the attributes of errors and of arguments of a command.
pub(crate) fn attributes(source: &str) -> syn::Result<Vec<String>> {
    let mut texts = Texts::default();
    texts.visit_file(&syn::parse_file(source)?);
    Ok(texts.found)
}

#[derive(Default)]
struct Texts {
    found: Vec<String>,
}

impl<'ast> Visit<'ast> for Texts {
    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        let is_read = ["error", "arg", "command", "value", "group"]
            .iter()
            .any(|name| attribute.path().is_ident(name));
        if let (true, syn::Meta::List(list)) = (is_read, &attribute.meta) {
            self.found.extend(literals(&list.tokens.to_string()));
        }
        visit::visit_attribute(self, attribute);
    }
}

/// Returns the string literals in the text of tokens.
fn literals(tokens: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = tokens;
    while let Some(start) = rest.find('"') {
        rest = &rest[start + 1..];
        let mut escaped = false;
        let end = rest.find(|c| {
            let is_end = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            is_end
        });
        let Some(end) = end else { break };
        found.push(rest[..end].to_owned());
        rest = &rest[end + 1..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_no_prose_and_errors_and_help_are() {
        let page = "One `code two` three\n```text\nfour\n```\n## Vocabulary\n| five |\nsix\n";
        let lines: Vec<String> = markdown(page).into_iter().map(|(_, line)| line).collect();
        assert_eq!(lines, ["One ` three", "## Vocabulary", "six"]);
        let source = "enum E { #[error(\"{x}: a \\\"b\\\"\", f(\"c\"))] A }\nstruct S { #[arg(help = \"d\")] s: u8 }";
        let texts = attributes(source).unwrap();
        assert_eq!(texts, ["{x}: a \\\"b\\\"", "c", "d"]);
    }
}
