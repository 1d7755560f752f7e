//! Image references: which registry, which repository, which tag or digest.

use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Digest, Error, Excerpt, ReferencePart};

/// The registry of a name without a registry.
const DEFAULT_REGISTRY: &str = "docker.io";
/// The tag of a name with neither tag nor digest.
const DEFAULT_TAG: &str = "latest";
/// Longest `registry/repository`, in bytes (distribution specification, "Pulling manifests").
const MAX_NAME_BYTES: usize = 255;
/// Longest tag, in bytes.
const MAX_TAG_BYTES: usize = 128;

/// The name of an image: `registry/repository:tag@digest`.
///
/// Names are completed as in Docker: `alpine` is `docker.io/library/alpine:latest`. The part before the first slash is a
/// registry if it contains a dot, a colon or an upper-case letter, or is `localhost`. Registries are converted to lower case.
/// If there are a tag and a digest, the digest takes precedence.
///
/// ```
/// use msb_oci::Reference;
///
/// let reference: Reference = "localhost:5000/tools/go:1.25".parse()?;
/// assert_eq!(reference.registry(), "localhost:5000");
/// assert_eq!(reference.repository(), "tools/go");
/// assert_eq!(reference.tag(), Some("1.25"));
/// assert!(reference.digest().is_none());
/// assert!(reference.is_loopback());
/// # Ok::<(), msb_oci::Error>(())
/// ```
///
/// Printed, compared and serialized in canonical form, which parses to an equal reference.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// `host` or `host:port`, lower case; an IPv6 host is in brackets.
    registry: Box<str>,
    /// One or more path components, joined by `/`.
    repository: Box<str>,
    /// `None` only if there is a digest.
    tag: Option<Box<str>>,
    digest: Option<Box<Digest>>,
}

impl Reference {
    /// Returns host and port of the registry as written, such as `docker.io`, `localhost:5000` or `[::1]:5000`; lower case.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns the registry without port and without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        split_port(&self.registry)
            .0
            .trim_start_matches('[')
            .trim_end_matches(']')
    }

    /// Returns the registry's port, if there is one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        split_port(&self.registry)
            .1
            .and_then(|port| port.parse().ok())
    }

    /// Returns the path below the registry, such as `library/alpine`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the tag; `None` only if there is a digest.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest, which takes precedence over the tag.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_deref()
    }

    /// Returns the identifier for requests to a registry: the digest, else the tag.
    #[must_use]
    pub fn identifier(&self) -> Cow<'_, str> {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => Cow::Owned(digest.to_string()),
            (None, Some(tag)) => Cow::Borrowed(tag),
            (None, None) => Cow::Borrowed(DEFAULT_TAG),
        }
    }

    /// Returns `registry/repository`, without tag and digest.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// Returns the same repository at `digest`, without a tag: the name of an index's child.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            tag: None,
            digest: Some(Box::new(digest)),
            ..self.clone()
        }
    }

    /// Returns the same repository at `tag`, without a digest.
    ///
    /// # Errors
    ///
    /// [`Error::Reference`] if `tag` breaks the grammar of tags.
    pub fn with_tag(&self, tag: &str) -> Result<Self, Error> {
        check_tag(tag).map_err(|fault| fault.of(tag))?;
        Ok(Self {
            tag: Some(tag.into()),
            digest: None,
            ..self.clone()
        })
    }

    /// Returns whether the registry is this machine: 127.0.0.0/8, `::1` or `localhost`.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        host == "localhost"
            || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
            || host.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// An error without the text of the reference, which the caller adds.
struct Fault(ReferencePart, &'static str);

impl Fault {
    fn of(self, text: &str) -> Error {
        Error::Reference {
            input: Excerpt::new(text),
            part: self.0,
            problem: self.1,
        }
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some((scheme, reference)) = text.split_once("://") {
            let (user, reference) = split_user(reference);
            let user = if user { "***@" } else { "" };
            return Err(Error::ReferenceUrl {
                input: Excerpt::new(&format!("{scheme}://{user}{reference}")),
                reference: Excerpt::new(reference),
            });
        }
        if let (true, rest) = split_user(text) {
            return Err(Fault(ReferencePart::Whole, "has a user name").of(&format!("***@{rest}")));
        }
        let (rest, digest) = match text.split_once('@') {
            None => (text, None),
            Some((rest, digest)) => {
                let digest = digest
                    .parse::<Digest>()
                    .map_err(|source| Error::ReferenceDigest {
                        input: Excerpt::new(text),
                        source: Box::new(source),
                    })?;
                (rest, Some(digest))
            }
        };
        parse_name(rest, digest).map_err(|fault| fault.of(text))
    }
}

/// Splits `user:password@` off a name. Returns whether there was one. A digest, which has no slash, may follow an `@` too.
fn split_user(text: &str) -> (bool, &str) {
    match text.rsplit_once('@') {
        Some((_, rest)) if rest.contains('/') => (true, rest),
        _ => (false, text),
    }
}

fn parse_name(text: &str, digest: Option<Digest>) -> Result<Reference, Fault> {
    if text.is_empty() {
        return Err(Fault(ReferencePart::Whole, "is empty"));
    }
    let (registry, rest) = split_registry(text);
    // Only the last component can have a colon: the repository's grammar refuses one in an earlier component.
    let (path, tag) = match rest.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (rest, None),
    };
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    let registry = registry.to_ascii_lowercase();
    check_registry(&registry)?;
    // Docker's old name of its registry.
    let registry = if registry == "index.docker.io" {
        DEFAULT_REGISTRY.to_owned()
    } else {
        registry
    };
    check_repository(path)?;
    if text == path && digest.is_none() && is_image_id(path) {
        return Err(Fault(
            ReferencePart::Repository,
            "is an image ID of 64 hexadecimal digits; name a repository",
        ));
    }
    let repository = if registry == DEFAULT_REGISTRY && !path.contains('/') {
        format!("library/{path}")
    } else {
        path.to_owned()
    };
    if registry.len() + 1 + repository.len() > MAX_NAME_BYTES {
        return Err(Fault(
            ReferencePart::Whole,
            "has a name of more than 255 bytes",
        ));
    }
    let tag = match (tag, &digest) {
        (None, None) => Some(DEFAULT_TAG),
        (tag, _) => tag,
    };
    Ok(Reference {
        registry: registry.into_boxed_str(),
        repository: repository.into_boxed_str(),
        tag: tag.map(Into::into),
        digest: digest.map(Box::new),
    })
}

/// Splits the registry off by Docker's rule for the first component.
fn split_registry(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((first, rest))
            if first == "localhost"
                || first
                    .bytes()
                    .any(|b| matches!(b, b'.' | b':' | b'[' | b'A'..=b'Z')) =>
        {
            (first, rest)
        }
        _ => (DEFAULT_REGISTRY, text),
    }
}

/// Splits `host[:port]` into the host, still in its brackets, and the port.
fn split_port(registry: &str) -> (&str, Option<&str>) {
    match registry.rsplit_once(':') {
        // A colon inside the brackets belongs to the address.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (registry, None),
    }
}

fn check_registry(registry: &str) -> Result<(), Fault> {
    let fault = |problem| Err(Fault(ReferencePart::Registry, problem));
    let (host, port) = split_port(registry);
    if let Some(port) = port {
        // `u16::from_str` accepts a sign, the grammar does not.
        if !port.bytes().all(|b| b.is_ascii_digit())
            || !port.parse::<u16>().is_ok_and(|port| port != 0)
        {
            return fault("has a port that is not a number from 1 to 65535");
        }
    }
    if let Some(address) = host.strip_prefix('[') {
        return match address.strip_suffix(']').map(str::parse::<Ipv6Addr>) {
            Some(Ok(_)) => Ok(()),
            _ => fault("is not an IPv6 address in brackets"),
        };
    }
    for label in host.split('.') {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if label.is_empty()
            || label.starts_with('-')
            || label.ends_with('-')
            || !label.bytes().all(inner)
        {
            return fault("is not a host name or an address");
        }
    }
    Ok(())
}

fn check_repository(path: &str) -> Result<(), Fault> {
    let fault = |problem| Err(Fault(ReferencePart::Repository, problem));
    if path.is_empty() {
        return fault("is empty");
    }
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        return fault("must be lower case");
    }
    if !path.split('/').all(is_path_component) {
        return fault(
            "is not made of a-z, 0-9 and single separators `.`, `_`, `__`, `-` between them",
        );
    }
    Ok(())
}

/// Returns whether a component matches `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` (distribution specification).
fn is_path_component(component: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    if !is_word(first) || !is_word(last) {
        return false;
    }
    bytes
        .split(|&b| is_word(b))
        .filter(|separator| !separator.is_empty())
        .all(|separator| {
            matches!(separator, b"." | b"_" | b"__") || separator.iter().all(|&b| b == b'-')
        })
}

/// Checks that a tag matches `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}` (distribution specification).
fn check_tag(tag: &str) -> Result<(), Fault> {
    let fault = |problem| Err(Fault(ReferencePart::Tag, problem));
    if tag.is_empty() {
        return fault("is empty");
    }
    if tag.len() > MAX_TAG_BYTES {
        return fault("has more than 128 bytes");
    }
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if !tag.bytes().all(|b| is_word(b) || matches!(b, b'.' | b'-')) || tag.starts_with(['.', '-']) {
        return fault(
            "is not made of letters, digits, `_`, `.` and `-`, the first a letter, a digit or `_`",
        );
    }
    Ok(())
}

/// Returns whether the path has the form of a local image's ID, which Docker refuses as a name.
fn is_image_id(path: &str) -> bool {
    path.len() == 64 && path.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reference({self})")
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Reference;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an image reference such as docker.io/library/alpine:latest")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Reference, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}
