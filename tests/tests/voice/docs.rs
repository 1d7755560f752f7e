//! Doc comments of the product: no persons for machines, and functions that begin with a verb in the third person.

/// Words that no doc comment contains.
pub(crate) const FORBIDDEN: [&str; 4] = ["whoever", "nobody", "somebody", "anew"];

/// Words that at most one doc line in [`LINES_A_RARE_WORD`] contains.
pub(crate) const RARE: [&str; 3] = ["says", "tells", "gives"];

pub(crate) const LINES_A_RARE_WORD: usize = 200;

/// Verbs with which the doc comment of a function may begin. Add a verb here if a new function needs it.
const VERBS: &str = "
    Adds Advances Allocates Announces Appends Applies Asks Assigns Attaches Begins Binds Builds Calls Cancels Charges Checks
    Chooses Clears Closes Collects Combines Compares Completes Compresses Computes Configures Connects Continues Converts Copies Counts
    Creates Cuts Decides Decodes Deletes Delivers Describes Detaches Detects Determines Discards Does Downloads Drops Encodes
    Ends Ensures Enters Erases Excludes Expands Extends Fails Fetches Fills Finds Finishes Flushes Follows Forgets Formats
    Forwards Frees Groups Hands Hashes Ignores Inflates Initializes Inserts Interprets Iterates Joins Keeps Leases Leaves Lets
    Links Lists Loads Locates Locks Logs Looks Lowers Makes Marks Matches Measures Merges Moves Names Negotiates Normalizes Notes
    Mounts Notifies Omits Opens Orders Pads Parses Passes Persists Picks Places Plans Prepares Presents Prints Processes Publishes
    Pulls Pushes Quotes Puts Raises Ranks Reads Receives Records Redacts Refreshes Registers Reinterprets Rejects Releases Remembers
    Removes Renames Replaces Replays Reports Requests Reserves Resets Resolves Restricts Resumes Retains Retries Returns Rewrites Rounds
    Runs Sanitizes Saves Scans Searches Seeks Selects Sends Serializes Serves Sets Shares Shows Skips Sleeps Sorts Spawns Splits
    Starts Stitches Stops Stores Strips Subtracts Swaps Syncs Takes Tracks Translates Tries Trims Truncates Trusts Turns Unlocks Unmounts Unpacks
    Updates Upgrades Uses Validates Verifies Views Visits Waits Wakes Walks Wipes Wraps Writes";

/// The doc comment above one item, or at the head of a file.
#[derive(Debug, PartialEq)]
pub(crate) struct Doc<'a> {
    /// The number of the first line, from 1.
    pub(crate) line: usize,
    pub(crate) lines: Vec<&'a str>,
    is_function: bool,
}

/// Returns the doc comments of a source file up to its unit tests.
pub(crate) fn docs(source: &str) -> Vec<Doc<'_>> {
    let product = source.split("#[cfg(test)]\nmod ").next().unwrap_or(source);
    let mut docs: Vec<Doc<'_>> = Vec::new();
    let mut open: Option<Doc<'_>> = None;
    let mut in_attribute = false;
    for (index, line) in product.lines().enumerate() {
        let line = line.trim();
        if let Some(text) = line
            .strip_prefix("///")
            .or_else(|| line.strip_prefix("//!"))
        {
            let doc = open.get_or_insert(Doc {
                line: index + 1,
                lines: Vec::new(),
                is_function: false,
            });
            doc.lines.push(text.trim());
        } else if in_attribute || line.starts_with("#[") {
            in_attribute = !line.ends_with(']');
        } else if let Some(mut doc) = open.take() {
            doc.is_function = is_function(line);
            docs.push(doc);
        }
    }
    docs.extend(open);
    docs
}

/// Returns whether a line begins the definition of a function.
fn is_function(line: &str) -> bool {
    let mut words = line.split_whitespace().skip_while(|word| {
        word.starts_with("pub")
            || word.ends_with(')')
            || ["const", "async", "unsafe", "default"].contains(word)
    });
    words.next() == Some("fn")
}

/// Returns whether a line contains one of the words.
pub(crate) fn has_word(line: &str, words: &[&str]) -> bool {
    line.split(|c: char| !c.is_alphanumeric())
        .any(|word| words.iter().any(|wanted| word.eq_ignore_ascii_case(wanted)))
}

/// Returns what is wrong with the doc comments of a file, each with its line number.
pub(crate) fn faults(docs: &[Doc<'_>]) -> Vec<(usize, String)> {
    let mut faults = Vec::new();
    for doc in docs {
        for (line, text) in (doc.line..).zip(&doc.lines) {
            if has_word(text, &FORBIDDEN) {
                faults.push((line, format!("a person for a machine: {text}")));
            }
        }
        let first = doc.lines[0];
        let verb = first.split_whitespace().next().unwrap_or_default();
        let verb = verb.trim_end_matches(['.', ',', ':']);
        if doc.is_function && !VERBS.split_whitespace().any(|known| known == verb) {
            faults.push((doc.line, format!("a function without a verb: {first}")));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_fault_is_found() {
        let source = "//! Whoever reads this.\n\n/// Returns it.\npub fn a() {}\n/// The size.\n#[must_use]\npub(super) const fn b() {}\n\
            /// The size.\npub struct C;\n/// Waits.\n/// Nobody waits.\n#[expect(\n    dead_code\n)]\nasync fn d() {}\n\
            #[cfg(test)]\nmod tests {\n    /// The size.\n    fn e() {}\n}\n";
        let docs = docs(source);
        assert_eq!(docs.iter().filter(|doc| doc.is_function).count(), 3);
        let lines: Vec<usize> = faults(&docs).into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, [1, 5, 11]);
    }
}
