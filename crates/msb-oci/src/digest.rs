//! Content digests: `algorithm:hex`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Algorithm, Error, Excerpt};

/// The digest of some content: an algorithm and lower-case hexadecimal of exactly its length.
///
/// Parsed from, shown as and serialized as `sha256:e3b0c442...`. [`Algorithm::as_str`] and [`Digest::hex`] consist of `a-z` and `0-9`
/// alone, and [`Digest::as_str`] of these and one colon, so that each is safe as a part of a path or of a URL.
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
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    /// `algorithm`'s name, a colon, and `algorithm.hex_len()` digits of `0-9a-f`.
    text: Box<str>,
}

impl Digest {
    /// Returns the algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the hexadecimal digits behind the colon.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.text[self.algorithm.as_str().len() + 1..]
    }

    /// Returns `algorithm:hex`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the first 16 bytes of the digest, which identify a filesystem image by what it holds.
    #[must_use]
    pub fn uuid(&self) -> [u8; 16] {
        let digit = |digit: u8| match digit {
            b'a'..=b'f' => digit - b'a' + 10,
            // OK because there are only lower-case hexadecimal digits.
            _ => digit.wrapping_sub(b'0'),
        };
        let (pairs, _) = self.hex().as_bytes().as_chunks::<2>();
        let mut uuid = [0; 16];
        for (byte, [high, low]) in uuid.iter_mut().zip(pairs) {
            *byte = digit(*high) << 4 | digit(*low);
        }
        uuid
    }

    /// Creates a digest from a finished hash; `raw` has half as many bytes as the algorithm has digits.
    pub(crate) fn from_raw(algorithm: Algorithm, raw: &[u8]) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        debug_assert_eq!(raw.len() * 2, algorithm.hex_len());
        let mut text = String::with_capacity(algorithm.as_str().len() + 1 + algorithm.hex_len());
        text.push_str(algorithm.as_str());
        text.push(':');
        for byte in raw {
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
        Self {
            algorithm,
            text: text.into_boxed_str(),
        }
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
        if !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(Error::DigestHex { input: input() });
        }
        Ok(Self {
            algorithm,
            text: text.into(),
        })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.text)
    }
}

impl AsRef<str> for Digest {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl TryFrom<&oci_spec::image::Digest> for Digest {
    type Error = Error;

    fn try_from(digest: &oci_spec::image::Digest) -> Result<Self, Error> {
        digest.as_ref().parse()
    }
}

impl From<&Digest> for oci_spec::image::Digest {
    fn from(digest: &Digest) -> Self {
        oci_spec::image::Digest::from_str(&digest.text)
            .expect("OK because every digest here satisfies the grammar of the image specification")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
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
        assert_eq!(Digest::sha256_of(b"").as_str(), EMPTY);
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
            assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest.clone()));
            let theirs = oci_spec::image::Digest::from(&digest);
            assert_eq!(Digest::try_from(&theirs), Ok(digest.clone()));
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
