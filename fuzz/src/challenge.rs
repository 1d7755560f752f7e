//! Target `challenge`: the value of a `WWW-Authenticate` header.
//!
//! Asserted, for every input:
//! - a scheme is a token in lower case, so that it can be compared and printed;
//! - challenges that are written in the one canonical form parse to the same.

use msb_registry::Challenge;

use crate::heap;

/// The parameters that a token service is asked by.
const PARAMETERS: [&str; 4] = ["realm", "service", "scope", "error"];

/// Runs the target.
///
/// # Panics
/// When something that is asserted does not hold.
pub fn run(bytes: &[u8]) {
    heap::bounded(64 * bytes.len() + (64 << 10), || {
        let line = String::from_utf8_lossy(bytes);
        let challenges = Challenge::parse_all(&line);
        for challenge in &challenges {
            let is_token = |b: u8| b.is_ascii_graphic() && !b.is_ascii_uppercase();
            assert!(challenge.scheme().bytes().all(is_token) && !challenge.scheme().is_empty());
        }
        let written: Vec<String> = challenges.iter().map(canonical).collect();
        let again = Challenge::parse_all(&written.join(", "));
        assert_eq!(again.len(), challenges.len());
        for (again, challenge) in again.iter().zip(&challenges) {
            assert_eq!(again.scheme(), challenge.scheme());
            for name in PARAMETERS {
                assert_eq!(again.param(name), challenge.param(name));
            }
        }
    });
}

fn canonical(challenge: &Challenge) -> String {
    let parameters = PARAMETERS.iter().filter_map(|name| {
        let value = challenge.param(name)?;
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        Some(format!("{name}=\"{value}\""))
    });
    let parameters: Vec<String> = parameters.collect();
    format!("{} {}", challenge.scheme(), parameters.join(", "))
}
