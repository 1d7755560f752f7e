use std::fs::OpenOptions;
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use microsandbox_image::{NamedLimit, parse_bytes};
use rustix::fs::OFlags;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Config, ConfigError, ConfigProblem, Located, MAX_BYTES};

/// Every key outside of the table of limits.
const KEYS: [&str; 8] = [
    "cache_dir",
    "cache_max_bytes",
    "cache_from",
    "verify_cache_from",
    "auth_file",
    "hosts_dirs",
    "max_concurrent_layers",
    "limits",
];

const SIZE: &str = "a number, or one with K, M, G or T in quotes";

/// Reads a regular file, without waiting for the writer of a named pipe.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    let failed = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or_default();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(ConfigError::NotAFile {
            path: path.to_owned(),
        });
    }
    let mut bytes = Vec::new();
    let mut limited = file.take(MAX_BYTES + 1);
    limited.read_to_end(&mut bytes).map_err(failed)?;
    if limited.limit() == 0 {
        return Err(ConfigError::TooLong {
            path: path.to_owned(),
            limit: MAX_BYTES,
        });
    }
    Ok(bytes)
}

/// Parses the content of the file at `path`. Relative paths in it are relative to its folder.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Config, ConfigError> {
    let text = str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        fault(path, line, ConfigProblem::NotUtf8)
    })?;
    let file = File { path, text };
    let document = DeTable::parse(text).map_err(|error| {
        let reason = error.message().to_owned();
        let offset = error.span().map_or(0, |span| span.start);
        file.fault(offset, ConfigProblem::Syntax { reason })
    })?;
    let mut config = Config {
        path: Some(path.to_owned()),
        ..Config::default()
    };
    for (key, value) in document.get_ref() {
        match &**key.get_ref() {
            "cache_dir" => config.cache_dir = Some(file.path("cache_dir", value)?),
            "cache_max_bytes" => {
                let key = "cache_max_bytes";
                config.cache_max_bytes = Some(file.located(value, file.size(key, value)?));
            }
            "cache_from" => config.cache_from = Some(file.paths("cache_from", value)?),
            "verify_cache_from" => {
                config.verify_cache_from = Some(file.switch("verify_cache_from", value)?);
            }
            "auth_file" => config.auth_file = Some(file.path("auth_file", value)?),
            "hosts_dirs" => config.hosts_dirs = Some(file.paths("hosts_dirs", value)?),
            "max_concurrent_layers" => {
                config.max_concurrent_layers = Some(file.layers(value)?);
            }
            "limits" => config.limits = file.limits(value)?,
            unknown => return Err(file.unknown_key(key.span().start, unknown, KEYS)),
        }
    }
    config.limits.sort_by_key(|limit| limit.line);
    Ok(config)
}

fn fault(path: &Path, line: usize, problem: ConfigProblem) -> ConfigError {
    ConfigError::Line {
        path: path.to_owned(),
        line,
        problem,
    }
}

/// The file, for the places in it.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn line(&self, offset: usize) -> usize {
        let before = self.text.bytes().take(offset);
        before.filter(|byte| *byte == b'\n').count() + 1
    }

    fn fault(&self, offset: usize, problem: ConfigProblem) -> ConfigError {
        fault(self.path, self.line(offset), problem)
    }

    fn wrong(
        &self,
        value: &Spanned<DeValue<'_>>,
        key: &'static str,
        expected: &'static str,
    ) -> ConfigError {
        self.fault(value.span().start, ConfigProblem::Type { key, expected })
    }

    fn located<T>(&self, at: &Spanned<DeValue<'_>>, value: T) -> Located<T> {
        Located {
            value,
            line: self.line(at.span().start),
        }
    }

    fn unknown_key(
        &self,
        offset: usize,
        key: &str,
        known: impl IntoIterator<Item = &'static str>,
    ) -> ConfigError {
        let problem = ConfigProblem::UnknownKey {
            key: key.to_owned(),
            suggestion: most_like(key, known),
        };
        self.fault(offset, problem)
    }

    fn absolute(&self, path: &str) -> PathBuf {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        folder.join(path)
    }

    fn path(
        &self,
        key: &'static str,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Located<PathBuf>, ConfigError> {
        match value.get_ref().as_str() {
            Some(path) if !path.is_empty() => Ok(self.located(value, self.absolute(path))),
            _ => Err(self.wrong(value, key, "a path in quotes")),
        }
    }

    fn paths(
        &self,
        key: &'static str,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Located<Vec<PathBuf>>, ConfigError> {
        let Some(array) = value.get_ref().as_array() else {
            return Err(self.wrong(value, key, "a list of paths in quotes"));
        };
        let paths = array.iter().map(|path| Ok(self.path(key, path)?.value));
        Ok(self.located(value, paths.collect::<Result<_, _>>()?))
    }

    fn switch(
        &self,
        key: &'static str,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Located<bool>, ConfigError> {
        match value.get_ref().as_bool() {
            Some(is_set) => Ok(self.located(value, is_set)),
            None => Err(self.wrong(value, key, "true or false")),
        }
    }

    fn layers(&self, value: &Spanned<DeValue<'_>>) -> Result<Located<NonZeroUsize>, ConfigError> {
        let layers = number(value).and_then(|number| usize::try_from(number).ok());
        match layers.and_then(NonZeroUsize::new) {
            Some(layers) => Ok(self.located(value, layers)),
            None => Err(self.wrong(value, "max_concurrent_layers", "a number from 1 on")),
        }
    }

    /// Returns a number of bytes, or of what else a limit counts.
    fn size(&self, key: &'static str, value: &Spanned<DeValue<'_>>) -> Result<u64, ConfigError> {
        let size = match value.get_ref().as_str() {
            Some(text) => parse_bytes(text),
            None => number(value),
        };
        size.ok_or_else(|| self.wrong(value, key, SIZE))
    }

    fn limits(
        &self,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Vec<Located<NamedLimit>>, ConfigError> {
        let Some(table) = value.get_ref().as_table() else {
            return Err(self.wrong(value, "limits", "a table of limits"));
        };
        let mut limits = Vec::new();
        for (key, value) in table {
            let names = || NamedLimit::all().map(|(name, _)| name);
            let name: &str = key.get_ref();
            let Some(name) = names().find(|known| *known == name) else {
                return Err(self.unknown_key(key.span().start, name, names()));
            };
            let limit = NamedLimit::new(name, self.size(name, value)?);
            let limit = limit.map_err(|_| self.wrong(value, name, SIZE))?;
            limits.push(self.located(value, limit));
        }
        Ok(limits)
    }
}

/// Returns a number that is not negative.
fn number(value: &Spanned<DeValue<'_>>) -> Option<u64> {
    let integer = value.get_ref().as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// Returns the known key that is most like another one, if it has at most a third of other letters.
fn most_like(key: &str, known: impl IntoIterator<Item = &'static str>) -> Option<&'static str> {
    // Dashes and underscores are mistaken for each other.
    let letters = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let key = letters(key);
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&key, &letters(known)), known))
        .filter(|(distance, known)| distance * 3 <= known.len())
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Config, String> {
        parse(Path::new("/etc/c.toml"), text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_is_read_with_its_line() {
        let text = "cache_dir = \"/cache\"\nauth_file = \"auth.json\"\n\
            hosts_dirs = [\n  \"a\",\n  \"/b\",\n]\nmax_concurrent_layers = 0x8\ncache_max_bytes = \"20G\"\n\
            cache_from = [\"/c\"]\nverify_cache_from = true\n\
            [limits]\nimage-memory-bytes = \"512M\"\nlayer-entries = 1_000\n";
        let config = parsed(text).unwrap();
        let at = |line, path: &str| {
            Some(Located {
                value: PathBuf::from(path),
                line,
            })
        };
        assert_eq!(config.cache_dir, at(1, "/cache"));
        assert_eq!(config.auth_file, at(2, "/etc/auth.json"));
        let hosts = config.hosts_dirs.unwrap();
        assert_eq!(
            (hosts.line, hosts.value),
            (3, vec!["/etc/a".into(), "/b".into()])
        );
        assert_eq!(config.max_concurrent_layers.unwrap().value.get(), 8);
        let budget = config.cache_max_bytes.unwrap();
        assert_eq!((budget.line, budget.value), (8, 20 << 30));
        let from = config.cache_from.unwrap();
        assert_eq!((from.line, from.value), (9, vec!["/c".into()]));
        let verified = config.verify_cache_from.unwrap();
        assert_eq!((verified.line, verified.value), (10, true));
        let limits: Vec<_> = config
            .limits
            .iter()
            .map(|limit| (limit.line, limit.value.name(), limit.value.value()))
            .collect();
        assert_eq!(
            limits,
            [
                (12, "image-memory-bytes", 512 << 20),
                (13, "layer-entries", 1000)
            ]
        );
    }

    #[test]
    fn each_fault_is_named_with_its_line() {
        for (text, expected) in [
            (
                "\ncache-dir = \"x\"",
                ":2: unknown key cache-dir; did you mean cache_dir?",
            ),
            (
                "host_dirs = []",
                ":1: unknown key host_dirs; did you mean hosts_dirs?",
            ),
            ("something = 1", ":1: unknown key something"),
            (
                "[limits]\n\nlayer-entrys = 1",
                ":3: unknown key layer-entrys; did you mean layer-entries?",
            ),
            ("cache_dir = 1", ":1: cache_dir is not a path in quotes"),
            ("cache_dir = \"\"", ":1: cache_dir is not a path in quotes"),
            (
                "hosts_dirs = \"x\"",
                ":1: hosts_dirs is not a list of paths in quotes",
            ),
            (
                "max_concurrent_layers = 0",
                ":1: max_concurrent_layers is not a number from 1 on",
            ),
            (
                "max_concurrent_layers = -1",
                ":1: max_concurrent_layers is not a number from 1 on",
            ),
            (
                "[limits]\nlayer-entries = \"many\"",
                ":2: layer-entries is not a number, or one with K, M, G or T in quotes",
            ),
            (
                "cache_max_bytes = \"20 pages\"",
                ":1: cache_max_bytes is not a number, or one with K, M, G or T in quotes",
            ),
            (
                "verify_cache_from = 1",
                ":1: verify_cache_from is not true or false",
            ),
            ("limits = 1", ":1: limits is not a table of limits"),
            ("\u{202e} = 1", ":1: "),
            ("a = 1\na = 2", ":2: duplicate key"),
            ("cache_dir", ":1: "),
        ] {
            let error = parsed(text).unwrap_err();
            let expected = format!("/etc/c.toml{expected}");
            assert!(error.starts_with(&expected), "{text}: {error}");
            assert!(
                !error.contains('\u{202e}') && !error.contains('\n'),
                "{error}"
            );
        }
        let error = parse(Path::new("c"), b"a = 1\n\xff").unwrap_err();
        assert_eq!(error.to_string(), "c:2: not UTF-8");
    }
}
