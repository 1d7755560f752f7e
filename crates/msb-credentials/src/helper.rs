//! Credential helpers: the programs `docker-credential-NAME` and their protocol.
//!
//! ```text
//!   get     stdin: server URL                         stdout: {"ServerURL", "Username", "Secret"}
//!   store   stdin: {"ServerURL", "Username", "Secret"}
//!   erase   stdin: server URL
//!   failure: exit code other than 0, one line of text on stdout
//! ```

mod process;

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use msb_oci::Excerpt;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::document::Document;
use crate::entry::{TOKEN_USERNAME, quoted};
use crate::error::HelperFault;
use crate::{Credential, Error};
use process::Ended;

/// The message of a helper that has no credentials for a server.
const NOT_FOUND: &str = "credentials not found in native keychain";
/// Largest answer. Service-account keys have a few kilobytes.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// A helper program by its configured name.
#[derive(Clone, Debug)]
pub(crate) struct Helper<'a> {
    name: &'a str,
    search_path: Option<&'a OsStr>,
    timeout: Duration,
}

impl<'a> Helper<'a> {
    /// Names a helper. The program is searched in `search_path` when it is needed.
    pub(crate) fn new(name: &'a str, search_path: Option<&'a OsStr>, timeout: Duration) -> Self {
        Self {
            name,
            search_path,
            timeout,
        }
    }

    /// Returns the name of the program, fit to print.
    pub(crate) fn program(&self) -> Excerpt {
        Excerpt::new(&self.program_name())
    }

    /// Asks for the credentials of a server; `None` if the helper has none.
    pub(crate) fn get(&self, key: &str) -> Result<Option<Credential>, Error> {
        let asked = self.run("get", key.as_bytes()).and_then(|ended| {
            let has_none = ended.stdout.trim_ascii() == NOT_FOUND.as_bytes();
            if has_none {
                return Ok(None);
            }
            succeeded(&ended, "")?;
            parse(&ended.stdout)
        });
        asked.map_err(|fault| self.error("get", key, fault))
    }

    /// Stores a credential, replacing the one that the helper has for this server.
    pub(crate) fn store(&self, key: &str, username: &str, secret: &str) -> Result<(), Error> {
        let input = Zeroizing::new(format!(
            "{{\"ServerURL\":{},\"Username\":{},\"Secret\":{}}}\n",
            *quoted(key),
            *quoted(username),
            *quoted(secret)
        ));
        let stored = self
            .run("store", input.as_bytes())
            .and_then(|ended| succeeded(&ended, secret));
        stored.map_err(|fault| self.error("store", key, fault))
    }

    /// Erases the credentials of a server. Returns whether there were any.
    pub(crate) fn erase(&self, key: &str) -> Result<bool, Error> {
        let erased =
            self.run("erase", key.as_bytes())
                .and_then(|ended| match ended.stdout.trim_ascii() {
                    text if text == NOT_FOUND.as_bytes() => Ok(false),
                    _ => succeeded(&ended, "").map(|()| true),
                });
        match erased {
            Ok(erased) => Ok(erased),
            // Some helpers fail in words of their own where there is nothing to erase.
            Err(fault @ HelperFault::Failed { .. }) => match self.get(key) {
                Ok(None) => Ok(false),
                _ => Err(self.error("erase", key, fault)),
            },
            Err(fault) => Err(self.error("erase", key, fault)),
        }
    }

    fn run(&self, action: &str, input: &[u8]) -> Result<Ended, HelperFault> {
        let program = self.find()?;
        process::run(&program, action, input, self.timeout, MAX_ANSWER_BYTES)
    }

    /// Searches the program. Relative directories are passed over, so that no file of the working directory is run.
    fn find(&self) -> Result<PathBuf, HelperFault> {
        let is_name_char = |c: char| !c.is_control() && c != '/' && c != '\\';
        if self.name.is_empty() || !self.name.chars().all(is_name_char) {
            return Err(HelperFault::Name);
        }
        let search_path = match self.search_path {
            Some(path) => path.to_owned(),
            None => std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin")),
        };
        std::env::split_paths(&search_path)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(self.program_name()))
            .find(|path| is_executable(path))
            .ok_or(HelperFault::Missing)
    }

    fn program_name(&self) -> String {
        format!("docker-credential-{}", self.name)
    }

    fn error(&self, action: &'static str, key: &str, fault: HelperFault) -> Error {
        Error::Helper {
            program: self.program(),
            action,
            key: Excerpt::new(key),
            fault,
        }
    }
}

fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Checks how a program ended. `secret` is part of its input and must not appear in the error.
fn succeeded(ended: &Ended, secret: &str) -> Result<(), HelperFault> {
    if ended.status.success() {
        return Ok(());
    }
    let line = |bytes: &[u8]| {
        let first = bytes.trim_ascii().split(|byte| *byte == b'\n').next();
        String::from_utf8_lossy(first.unwrap_or_default()).into_owned()
    };
    let said = [ended.stdout.as_slice(), ended.stderr.as_slice()].map(line);
    // A message is a sentence. JSON, or the secret itself, is an answer that must not be printed.
    let could_leak =
        |text: &str| text.contains(['{', '}', '"']) || !secret.is_empty() && text.contains(secret);
    let message = match said.iter().find(|line| !line.is_empty()) {
        Some(text) if !said.iter().any(|line| could_leak(line)) => Excerpt::new(text),
        _ => Excerpt::new(""),
    };
    Err(HelperFault::Failed {
        status: ended.status,
        message,
    })
}

/// Reads the answer to `get`. What follows the first JSON value does not count, as for Docker.
fn parse(answer: &[u8]) -> Result<Option<Credential>, HelperFault> {
    let mut values = serde_json::Deserializer::from_slice(answer).into_iter::<Value>();
    let Some(Ok(value)) = values.next() else {
        return Err(HelperFault::Garbage);
    };
    let document = Document::new(value);
    let object = document.object().ok_or(HelperFault::Garbage)?;
    // Docker compares names of fields without case.
    let field = |name: &str| {
        let mut members = object.iter();
        let member = members.find(|(key, _)| key.eq_ignore_ascii_case(name));
        match member.map(|(_, value)| value) {
            Some(Value::String(text)) => Ok(text.as_str()),
            None | Some(Value::Null) => Ok(""),
            Some(_) => Err(HelperFault::Garbage),
        }
    };
    match (field("username")?, field("secret")?) {
        ("", "") if object.is_empty() => Err(HelperFault::Garbage),
        (_, "") => Ok(None),
        (TOKEN_USERNAME, token) => Ok(Some(Credential::identity_token(token))),
        (username, _) if username.contains(':') => Err(HelperFault::ColonInUsername),
        (username, password) => Ok(Some(Credential::basic(username, password))),
    }
}
