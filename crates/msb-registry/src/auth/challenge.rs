//! The `WWW-Authenticate` header (RFC 9110, section 11.6.1).

/// A challenge of a `WWW-Authenticate` header: a scheme and its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Lower case.
    pub(crate) scheme: String,
    /// Names in lower case, in order; values unquoted. A value may be any bytes.
    params: Vec<(String, Vec<u8>)>,
}

impl Challenge {
    /// Returns the scheme in lower case.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Returns the first parameter of that (lower-case) name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&[u8]> {
        self.params
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_slice())
    }

    /// Returns the first parameter of that name if it is UTF-8.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        str::from_utf8(self.param(name)?).ok()
    }

    /// Parses all challenges of one header line. A part that makes no sense is skipped up to the next comma.
    #[must_use]
    pub fn parse_all(line: &[u8]) -> Vec<Self> {
        let mut challenges: Vec<Self> = Vec::new();
        let mut rest = Rest(line);
        loop {
            rest.skip(|b| b.is_ascii_whitespace() || b == b',');
            if rest.0.is_empty() {
                return challenges;
            }
            let name = rest.token();
            let spaced = rest.skip(|b| b.is_ascii_whitespace());
            // A name with `=` behind it is a parameter, unless it is padding of a token68, which no supported scheme has.
            if !name.is_empty() && rest.0.starts_with(b"=") {
                rest.0 = &rest.0[1..];
                rest.skip(|b| b.is_ascii_whitespace());
                let Some(value) = rest.value() else {
                    return challenges;
                };
                if let Some(challenge) = challenges.last_mut() {
                    challenge.params.push((lower(name), value));
                }
            } else if !name.is_empty() && (spaced || rest.0.is_empty() || rest.0.starts_with(b","))
            {
                challenges.push(Self {
                    scheme: lower(name),
                    params: Vec::new(),
                });
            } else {
                rest.skip(|b| b != b',');
            }
        }
    }
}

fn lower(name: &[u8]) -> String {
    // OK because a token is ASCII.
    String::from_utf8_lossy(name).to_ascii_lowercase()
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// Skips bytes, and returns whether there were any.
    fn skip(&mut self, skipped: impl Fn(u8) -> bool) -> bool {
        let end = self.0.iter().position(|b| !skipped(*b));
        let end = end.unwrap_or(self.0.len());
        self.0 = &self.0[end..];
        end > 0
    }

    /// Takes a token, which may be empty.
    fn token(&mut self) -> &'a [u8] {
        let is_token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
        let end = self.0.iter().position(|b| !is_token(b));
        let (token, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        token
    }

    /// Takes a quoted string, or everything before the next comma or space: some registries do not quote URLs. Returns `None` if
    /// a quoted string does not end.
    fn value(&mut self) -> Option<Vec<u8>> {
        if !self.0.starts_with(b"\"") {
            let is_end = |b: &u8| *b == b',' || b.is_ascii_whitespace();
            let end = self.0.iter().position(is_end);
            let (value, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
            self.0 = rest;
            return Some(value.to_vec());
        }
        let mut value = Vec::new();
        let mut bytes = self.0[1..].iter();
        loop {
            match bytes.next()? {
                b'"' => break,
                b'\\' => value.push(*bytes.next()?),
                byte => value.push(*byte),
            }
        }
        self.0 = bytes.as_slice();
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Challenge {
        let mut all = Challenge::parse_all(line.as_bytes());
        assert_eq!(all.len(), 1, "{line}");
        all.remove(0)
    }

    #[test]
    fn bearer_as_docker_hub_writes_it() {
        let line = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let challenge = one(line);
        assert_eq!(challenge.scheme, "bearer");
        assert_eq!(
            challenge.text("realm"),
            Some("https://auth.docker.io/token")
        );
        assert_eq!(challenge.text("service"), Some("registry.docker.io"));
        assert_eq!(challenge.text("scope"), Some("repository:a/b:pull,push"));
    }

    #[test]
    fn odd_but_legal_spellings() {
        let challenge = one("bEARER  Realm = \"a\\\"b\" ,\tservice=plain , x=\"\"");
        assert_eq!(challenge.text("realm"), Some("a\"b"));
        assert_eq!(challenge.text("service"), Some("plain"));
        assert_eq!(challenge.text("x"), Some(""));
        assert_eq!(
            one("Bearer realm=https://x/token?a=b,service=y").text("realm"),
            Some("https://x/token?a=b")
        );
    }

    #[test]
    fn several_challenges_in_one_line() {
        let all = Challenge::parse_all(br#"Negotiate, Basic realm="a, b", Bearer realm="c""#);
        let schemes: Vec<_> = all
            .iter()
            .map(|challenge| challenge.scheme.as_str())
            .collect();
        assert_eq!(schemes, ["negotiate", "basic", "bearer"]);
        assert_eq!(all[1].text("realm"), Some("a, b"));
        assert_eq!(all[2].text("realm"), Some("c"));
    }

    #[test]
    fn nonsense_neither_panics_nor_hangs() {
        for line in [
            "",
            ",,,",
            "=",
            "a=b",
            "Bearer realm=\"open",
            "Bearer realm=\"a\\",
            "\u{e9}",
            "Bearer \u{e9}=x",
            "Bearer realm=",
            "A/B",
        ] {
            let _ = Challenge::parse_all(line.as_bytes());
        }
        assert_eq!(Challenge::parse_all(b"Bearer realm=\"open").len(), 1);
    }

    #[test]
    fn challenges_are_bytes_and_nonsense_ends_at_a_comma() {
        let all = Challenge::parse_all(
            b"Negotiate a/b==, Bearer realm=\"https://x/t\",service=\"r\xe9g\"",
        );
        assert_eq!(all.len(), 2);
        assert_eq!(all[1].text("realm"), Some("https://x/t"));
        assert_eq!(all[1].param("service"), Some(&b"r\xe9g"[..]));
        assert_eq!(all[1].text("service"), None);
    }
}
