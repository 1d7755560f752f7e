//! Reads the log of libFuzzer.

use std::path::PathBuf;

/// The counts and the finding of one run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) executions: u64,
    pub(super) edges: u64,
    pub(super) inputs: u64,
    pub(super) peak_mib: u64,
    /// The panic or libFuzzer's message.
    pub(super) finding: Vec<String>,
    pub(super) input: Option<PathBuf>,
}

impl Log {
    pub(super) fn read(text: &str) -> Self {
        let mut log = Self::default();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let after = |key: &str| {
                let at = words.iter().position(|word| *word == key)?;
                words.get(at + 1)?.split('/').next()?.parse().ok()
            };
            if line.starts_with('#') {
                log.edges = after("cov:").unwrap_or(log.edges);
                log.inputs = after("corp:").unwrap_or(log.inputs);
            }
            let number = after("stat::number_of_executed_units:");
            log.executions = number.unwrap_or(log.executions);
            log.peak_mib = after("stat::peak_rss_mb:").unwrap_or(log.peak_mib);
            if line.contains("panicked at") {
                log.finding.push(line.to_owned());
                log.finding.extend(lines.next().map(str::to_owned));
            } else if line.contains("ERROR: libFuzzer: ") && !line.contains("deadly signal") {
                log.finding.push(line.to_owned());
            } else if let Some((_, path)) = line.split_once("Test unit written to ") {
                log.input = Some(path.into());
            }
        }
        log
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_finding_are_read_from_the_log() {
        let log = Log::read(
            "#2\tINITED cov: 5 ft: 9 corp: 1/1b exec/s: 0 rss: 27Mb\n\
             #912\tNEW    cov: 123 ft: 456 corp: 78/9Kb lim: 4096 exec/s: 7 rss: 30Mb L: 3/3 MS: 1 Custom-\n\
             thread '<unnamed>' (7) panicked at src/x.rs:1:2:\nwhat is wrong\nstack backtrace:\n\
             ==7== ERROR: libFuzzer: deadly signal\n\
             artifact_prefix='a/'; Test unit written to a/crash-1\n\
             stat::number_of_executed_units: 1000\nstat::peak_rss_mb:              88\n",
        );
        assert_eq!(
            log,
            Log {
                executions: 1000,
                edges: 123,
                inputs: 78,
                peak_mib: 88,
                finding: vec![
                    "thread '<unnamed>' (7) panicked at src/x.rs:1:2:".to_owned(),
                    "what is wrong".to_owned()
                ],
                input: Some("a/crash-1".into()),
            }
        );
        let log = Log::read("==7== ERROR: libFuzzer: timeout after 11 seconds\n");
        assert_eq!(log.finding.len(), 1);
    }
}
