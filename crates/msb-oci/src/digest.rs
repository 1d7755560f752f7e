//! Content digests: `algorithm:hex`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::hex_digits::HexDigits;
use crate::{Algorithm, Error, Excerpt};

/// The digest of some content: an algorithm and the bytes of a hash of exactly its length.
///
/// Parsed from, displayed as and serialized as `sha256:e3b0c442...`. [`Algorithm::as_str`] and [`Digest::hex`] consist of `a-z` and
/// `0-9`, so both are safe as parts of a path or of a URL.
///
/// ```
/// use msb_oci::{Algorithm, Digest};
///
/// let empty = Digest::sha256_of(b"");
/// assert_eq!(empty.algorithm(), Algorithm::Sha256);
/// assert!(empty.hex().starts_with("e3b0c442"));
/// assert!("sha256:../../etc/passwd".parse::<Digest>().is_err());
/// ```
///
/// Specification: OCI image specification, descriptor.md, "Digests".
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    /// The hash in the first `algorithm.byte_len()` bytes, then zeros.
    bytes: [u8; MAX_BYTES],
}

/// Length of the longest hash, SHA-512's.
const MAX_BYTES: usize = 64;

impl Digest {
    /// Returns the algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the bytes of the hash: 32, 48 or 64, by algorithm.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.byte_len()]
    }

    /// Returns the hexadecimal digits after the colon.
    #[must_use]
    pub fn hex(&self) -> HexDigits {
        HexDigits::new(self.as_bytes())
    }

    /// Returns the first 16 bytes of the digest, which identify a filesystem image by its content.
    #[must_use]
    pub fn uuid(&self) -> [u8; 16] {
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&self.bytes[..16]);
        uuid
    }

    /// Creates the digest that has this SHA-256 hash.
    #[must_use]
    pub fn from_sha256(hash: &[u8; 32]) -> Self {
        Self::from_raw(Algorithm::Sha256, hash)
    }

    /// Creates a digest from a hash of `algorithm.byte_len()` bytes.
    pub(crate) fn from_raw(algorithm: Algorithm, raw: &[u8]) -> Self {
        let mut bytes = [0; MAX_BYTES];
        bytes[..algorithm.byte_len()].copy_from_slice(raw);
        Self { algorithm, bytes }
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let input = || Excerpt::new(text);
        let (name, hex) = text
            .split_once(':')
            .ok_or_else(|| Error::DigestForm { input: input() })?;
        let algorithm = match name {
            "sha256" => Algorithm::Sha256,
            "sha384" => Algorithm::Sha384,
            "sha512" => Algorithm::Sha512,
            _ => return Err(Error::DigestAlgorithm { input: input() }),
        };
        if hex.len() != algorithm.hex_len() {
            let (expected, actual) = (algorithm.hex_len(), hex.len());
            return Err(Error::DigestLength {
                input: input(),
                algorithm,
                expected,
                actual,
            });
        }
        // The decoder accepts upper case, which the specification forbids.
        if hex.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(Error::DigestHex { input: input() });
        }
        let mut bytes = [0; MAX_BYTES];
        hex::decode_to_slice(hex, &mut bytes[..algorithm.byte_len()])
            .map_err(|_| Error::DigestHex { input: input() })?;
        Ok(Self { algorithm, bytes })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Digest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a digest such as sha256:e3b0c442...")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Digest, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn known_digests_of_nothing() {
        assert_eq!(Digest::sha256_of(b"").to_string(), EMPTY);
        assert!(
            Digest::of(Algorithm::Sha384, b"")
                .hex()
                .starts_with("38b060a751ac9638")
        );
        assert!(
            Digest::of(Algorithm::Sha512, b"")
                .hex()
                .starts_with("cf83e1357eefb8bd")
        );
    }

    #[test]
    fn all_algorithms_survive_a_round_trip() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
            let digest = Digest::of(algorithm, b"abc");
            assert_eq!(digest.hex().len(), algorithm.hex_len());
            assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
            let theirs = oci_spec::image::Digest::from(&digest);
            assert_eq!(Digest::try_from(&theirs), Ok(digest));
            let json = serde_json::to_string(&digest).unwrap();
            assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
            assert!(digest.matches(b"abc") && !digest.matches(b"abd"));
        }
    }

    #[test]
    fn a_uuid_is_the_first_bytes() {
        let uuid = EMPTY.parse::<Digest>().unwrap().uuid();
        assert_eq!(uuid[..4], [0xe3, 0xb0, 0xc4, 0x42]);
        assert_eq!(uuid[15], 0x24);
    }

    #[test]
    fn digests_as_path_parts_are_refused_when_they_could_leave() {
        let hex = "a".repeat(64);
        for text in [
            String::new(),
            "sha256".into(),
            "sha256:".into(),
            ":".to_owned() + &hex,
            "sha256:../../../../etc/passwd".into(),
            format!("sha256:{}", "/".repeat(64)),
            format!("sha256:{}", "A".repeat(64)),
            format!("sha256:{}\n", "a".repeat(63)),
            format!("sha256: {}", "a".repeat(63)),
            format!("SHA256:{hex}"),
            format!("sha512:{hex}"),
            format!("sha256:{hex}a"),
            format!("md5:{}", "a".repeat(32)),
            format!("sha256+b64:{hex}"),
            format!("sha256:sha256:{hex}"),
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn errors_carry_no_control_characters() {
        let error = "sha256:\x1b[2J\n"
            .parse::<Digest>()
            .unwrap_err()
            .to_string();
        assert!(!error.chars().any(char::is_control), "{error:?}");
    }
}
