//! The `WWW-Authenticate` header (RFC 9110, section 11.6.1).

/// A challenge of a `WWW-Authenticate` header: a scheme and its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Lower case.
    pub(crate) scheme: String,
    /// Lower-case names; in order; values unquoted.
    params: Vec<(String, String)>,
}

impl Challenge {
    /// Returns the scheme in lower case.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Returns the first parameter of that (lower-case) name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Parses all challenges of one header line. A malformed part ends the line: the challenges before it stand.
    #[must_use]
    pub fn parse_all(line: &str) -> Vec<Self> {
        let mut challenges: Vec<Self> = Vec::new();
        let mut rest = Rest(line);
        loop {
            rest.skip(|c| c.is_ascii_whitespace() || c == ',');
            let name = rest.token();
            if name.is_empty() {
                return challenges;
            }
            let spaced = rest.skip(|c| c.is_ascii_whitespace());
            // A name with `=` behind it is a parameter, unless it is padding of a token68, which no challenge of ours has.
            if rest.0.starts_with('=') {
                rest.skip_one();
                rest.skip(|c| c.is_ascii_whitespace());
                let Some(value) = rest.value() else {
                    return challenges;
                };
                let Some(challenge) = challenges.last_mut() else {
                    return challenges;
                };
                challenge.params.push((name.to_ascii_lowercase(), value));
            } else if spaced || rest.0.is_empty() || rest.0.starts_with(',') {
                challenges.push(Self {
                    scheme: name.to_ascii_lowercase(),
                    params: Vec::new(),
                });
            } else {
                return challenges;
            }
        }
    }
}

struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// Skips characters and says whether there were any.
    fn skip(&mut self, skipped: impl Fn(char) -> bool) -> bool {
        let trimmed = self.0.trim_start_matches(skipped);
        let any = trimmed.len() < self.0.len();
        self.0 = trimmed;
        any
    }

    /// Skips the first character.
    fn skip_one(&mut self) {
        let mut chars = self.0.chars();
        chars.next();
        self.0 = chars.as_str();
    }

    /// A token, perhaps empty.
    fn token(&mut self) -> &'a str {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let end = self.0.find(|c| !is_token(c)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        token
    }

    /// A quoted string, or whatever stands before the next comma or space: some registries do not quote URLs.
    fn value(&mut self) -> Option<String> {
        if !self.0.starts_with('"') {
            let end = self
                .0
                .find(|c: char| c == ',' || c.is_ascii_whitespace())
                .unwrap_or(self.0.len());
            let (value, rest) = self.0.split_at(end);
            self.0 = rest;
            return Some(value.to_owned());
        }
        self.skip_one();
        let mut value = String::new();
        let mut chars = self.0.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => value.push(chars.next()?),
                c => value.push(c),
            }
        }
        self.0 = chars.as_str();
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Challenge {
        let mut all = Challenge::parse_all(line);
        assert_eq!(all.len(), 1, "{line}");
        all.remove(0)
    }

    #[test]
    fn bearer_as_docker_hub_writes_it() {
        let line = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let challenge = one(line);
        assert_eq!(challenge.scheme, "bearer");
        assert_eq!(
            challenge.param("realm"),
            Some("https://auth.docker.io/token")
        );
        assert_eq!(challenge.param("service"), Some("registry.docker.io"));
        assert_eq!(challenge.param("scope"), Some("repository:a/b:pull,push"));
    }

    #[test]
    fn odd_but_legal_spellings() {
        let challenge = one("bEARER  Realm = \"a\\\"b\" ,\tservice=plain , x=\"\"");
        assert_eq!(challenge.param("realm"), Some("a\"b"));
        assert_eq!(challenge.param("service"), Some("plain"));
        assert_eq!(challenge.param("x"), Some(""));
        assert_eq!(
            one("Bearer realm=https://x/token?a=b,service=y").param("realm"),
            Some("https://x/token?a=b")
        );
    }

    #[test]
    fn several_challenges_in_one_line() {
        let all = Challenge::parse_all(r#"Negotiate, Basic realm="a, b", Bearer realm="c""#);
        let schemes: Vec<_> = all
            .iter()
            .map(|challenge| challenge.scheme.as_str())
            .collect();
        assert_eq!(schemes, ["negotiate", "basic", "bearer"]);
        assert_eq!(all[1].param("realm"), Some("a, b"));
        assert_eq!(all[2].param("realm"), Some("c"));
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
            let _ = Challenge::parse_all(line);
        }
        assert_eq!(Challenge::parse_all("Bearer realm=\"open").len(), 1);
    }
}
