//! Target `challenge`: the value of a `WWW-Authenticate` header.
//!
//! Asserted, for every input:
//! - a scheme is a token in lower case, so it can be compared and printed;
//! - challenges written in the canonical form parse to the same value.

use msb_registry::Challenge;

use crate::heap;

/// The parameters of a request to the token service.
const PARAMETERS: [&str; 4] = ["realm", "service", "scope", "error"];

/// Runs the target.
///
/// # Panics
/// When something that is asserted does not hold.
pub fn run(bytes: &[u8]) {
    heap::bounded(64 * bytes.len() + (64 << 10), || {
        let challenges = Challenge::parse_all(bytes);
        for challenge in &challenges {
            let is_token = |b: u8| b.is_ascii_graphic() && !b.is_ascii_uppercase();
            assert!(challenge.scheme().bytes().all(is_token) && !challenge.scheme().is_empty());
        }
        let written: Vec<Vec<u8>> = challenges.iter().map(canonical).collect();
        let again = Challenge::parse_all(&written.join(&b", "[..]));
        assert_eq!(again.len(), challenges.len());
        for (again, challenge) in again.iter().zip(&challenges) {
            assert_eq!(again.scheme(), challenge.scheme());
            for name in PARAMETERS {
                assert_eq!(again.param(name), challenge.param(name));
            }
        }
    });
}

fn canonical(challenge: &Challenge) -> Vec<u8> {
    let mut written = challenge.scheme().as_bytes().to_vec();
    let mut separator = b' ';
    for name in PARAMETERS {
        let Some(value) = challenge.param(name) else {
            continue;
        };
        written.push(separator);
        written.extend_from_slice(name.as_bytes());
        written.extend_from_slice(b"=\"");
        for byte in value {
            if matches!(byte, b'\\' | b'"') {
                written.push(b'\\');
            }
            written.push(*byte);
        }
        written.push(b'"');
        separator = b',';
    }
    // A scheme without parameters is followed by a blank or the end.
    if separator == b' ' {
        written.push(b' ');
    }
    written
}
