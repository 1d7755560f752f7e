//! Tokens, as a token service hands them out.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::TokenProblem;

/// The least life of a token, and that of a token without one (token specification, `expires_in`).
const LEAST_LIFE: Duration = Duration::from_secs(60);
/// The longest time that a token is kept.
const MAX_LIFE: Duration = Duration::from_secs(3600);

/// A token and its remaining life.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) text: Zeroizing<String>,
    /// A tenth less than the service states, so that a token does not expire on its way.
    pub(super) life: Duration,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default, deserialize_with = "text")]
    token: Option<Zeroizing<String>>,
    #[serde(default, deserialize_with = "text")]
    access_token: Option<Zeroizing<String>>,
    #[serde(default)]
    expires_in: Value,
}

/// Takes anything, and keeps it if it is a text with something in it.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Zeroizing<String>>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) if !text.is_empty() => Some(Zeroizing::new(text)),
        _ => None,
    })
}

/// Parses the response of a token service.
pub(super) fn parse_token(body: &[u8]) -> Result<Token, TokenProblem> {
    let answer: Answer = serde_json::from_slice(body).map_err(|_| TokenProblem::Response)?;
    // The specification has both names for the same thing.
    let text = answer
        .token
        .or(answer.access_token)
        .ok_or(TokenProblem::Missing)?;
    if !is_sendable(&text) {
        return Err(TokenProblem::Characters);
    }
    let life = answer
        .expires_in
        .as_u64()
        .map_or(LEAST_LIFE, Duration::from_secs)
        .clamp(LEAST_LIFE, MAX_LIFE);
    Ok(Token {
        text,
        life: life.mul_f32(0.9),
    })
}

/// Returns whether a header can hold `text`: a line break would begin another header.
pub(super) fn is_sendable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(body: &str) -> TokenProblem {
        parse_token(body.as_bytes()).unwrap_err()
    }

    fn life(body: &str) -> u64 {
        parse_token(body.as_bytes()).unwrap().life.as_secs()
    }

    #[test]
    fn tokens_with_line_breaks_are_refused() {
        assert_eq!(
            problem(r#"{"token":"a\r\nX-Evil: 1"}"#),
            TokenProblem::Characters
        );
        assert_eq!(problem(r#"{"token":"a b"}"#), TokenProblem::Characters);
        assert_eq!(problem("<html>"), TokenProblem::Response);
        assert_eq!(problem("[]"), TokenProblem::Missing);
        assert_eq!(problem(r#"{"token":""}"#), TokenProblem::Missing);
        assert_eq!(
            problem(r#"{"token":null,"access_token":3}"#),
            TokenProblem::Missing
        );
    }

    #[test]
    fn both_names_of_a_token_are_read() {
        let token =
            parse_token(br#"{"token":null,"access_token":"abc","expires_in":300}"#).unwrap();
        assert_eq!(token.text.as_str(), "abc");
    }

    #[test]
    fn a_tokens_life_has_a_floor_and_a_ceiling() {
        assert_eq!(life(r#"{"token":"a","expires_in":300}"#), 270);
        for short in ["1", "0", "-5", "null", "\"300\"", "59"] {
            assert_eq!(
                life(&format!(r#"{{"token":"a","expires_in":{short}}}"#)),
                54,
                "{short}"
            );
        }
        assert_eq!(life(r#"{"token":"a"}"#), 54);
        assert_eq!(
            life(r#"{"token":"a","expires_in":18446744073709551615}"#),
            3240
        );
    }
}
