use std::fmt::{self, Write as _};
use std::io::{self, Write};

use microsandbox_image::escape;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use crate::output::{Format, ascii_json};
use crate::progress;

/// Writes the libraries' log to stderr: warnings, unless it is quiet; with `verbose` 1 also the steps of a pull, with 2 every request and
/// retry.
pub(crate) fn start(verbose: u8, is_quiet: bool, format: Format) {
    let level = match verbose {
        0 if is_quiet => LevelFilter::ERROR,
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .event_format(Line { format })
        .with_writer(Stderr)
        .init();
}

/// Formats an event on one line: as `level: message (field=value, ...)` with messages and values escaped, or as a JSON object with
/// `level`, `message` and `fields`.
#[derive(Debug)]
struct Line {
    format: Format,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut parts = Parts::default();
        event.record(&mut parts);
        let level = *event.metadata().level();
        match self.format {
            Format::Text => writeln!(writer, "{}", parts.line(level)),
            Format::Json => writeln!(writer, "{}", parts.object(level)),
        }
    }
}

/// The message of an event and its other fields, not escaped.
#[derive(Debug, Default)]
struct Parts {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Parts {
    fn line(&self, level: Level) -> String {
        let mut line = format!("{}: {}", name(level), escape(&self.message));
        let mut separator = " (";
        for (field, value) in &self.fields {
            // OK because a String takes any text.
            let _ = write!(line, "{separator}{field}={}", escape(value));
            separator = ", ";
        }
        if !self.fields.is_empty() {
            line.push(')');
        }
        line
    }

    fn object(&self, level: Level) -> String {
        let fields: serde_json::Map<_, _> = self
            .fields
            .iter()
            .map(|(field, value)| ((*field).to_owned(), value.clone().into()))
            .collect();
        let object = serde_json::json!({
            "level": name(level),
            "message": self.message,
            "fields": fields,
        });
        ascii_json(&object.to_string()).to_string()
    }

    fn add(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = value.to_owned();
        } else {
            self.fields.push((field.name(), value.to_owned()));
        }
    }
}

fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

impl Visit for Parts {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_error(&mut self, field: &Field, error: &(dyn std::error::Error + 'static)) {
        self.add(field, &error.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, &format!("{value:?}"));
    }
}

/// Writes to stderr without breaking the progress bars.
#[derive(Debug)]
struct Stderr;

impl MakeWriter<'_> for Stderr {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        progress::without_bars(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Collects log output.
    #[derive(Clone, Default)]
    struct Collected(Arc<Mutex<Vec<u8>>>);

    impl Write for Collected {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic elsewhere").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn log_fields_and_messages_are_escaped() {
        let collected = Collected::default();
        let make = collected.clone();
        let subscriber = tracing_subscriber::fmt()
            .event_format(Line {
                format: Format::Text,
            })
            .with_writer(move || make.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let path = "a\x1b[2J\u{9b}\u{202e}\u{e0041}";
            tracing::warn!(path, count = 3, error = %"x\ny", debug = ?"\u{200b}", "odd \x07 {path}");
            tracing::info!("{}", "second\nline");
        });
        let text = collected.0.lock().expect("no panic elsewhere").clone();
        assert_eq!(
            String::from_utf8(text).expect("text"),
            "warning: odd \\u{7} a\\u{1b}[2J\\u{9b}\\u{202e}\\u{e0041} (path=a\\u{1b}[2J\\u{9b}\\u{202e}\\u{e0041}, \
             count=3, error=x\\ny, debug=\"\\u{200b}\")\ninfo: second\\nline\n"
        );
    }

    #[test]
    fn json_log_lines_keep_their_data() {
        let collected = Collected::default();
        let make = collected.clone();
        let subscriber = tracing_subscriber::fmt()
            .event_format(Line {
                format: Format::Json,
            })
            .with_writer(move || make.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(path = "a\u{9b}\n", count = 3, "odd \x07");
        });
        let text = collected.0.lock().expect("no panic elsewhere").clone();
        let text = String::from_utf8(text).expect("text");
        assert!(text.is_ascii() && text.lines().count() == 1, "{text}");
        let object: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let expected = serde_json::json!({
            "level": "warning", "message": "odd \u{7}", "fields": {"path": "a\u{9b}\n", "count": "3"},
        });
        assert_eq!(object, expected);
    }
}
