//! Parses platforms.

use std::str::FromStr;

use msb_oci::Excerpt;

use crate::{Error, Platform};

/// Returns whether `text` is a name of a Linux architecture, in any spelling.
fn is_architecture(text: &str) -> bool {
    let normal = Platform::new("linux", text);
    matches!(
        normal.architecture(),
        "386"
            | "amd64"
            | "arm"
            | "arm64"
            | "loong64"
            | "mips"
            | "mips64"
            | "mips64le"
            | "mipsle"
            | "ppc64"
            | "ppc64le"
            | "riscv64"
            | "s390x"
    )
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts: Vec<&str> = text.splitn(4, '/').collect();
        let platform = match parts[..] {
            [architecture] if is_architecture(architecture) => {
                Some(Self::new("linux", architecture))
            }
            [architecture, variant] if is_architecture(architecture) && !variant.is_empty() => {
                Some(Self::with_variant("linux", architecture, variant))
            }
            [os, architecture] => Some(Self::new(os, architecture)),
            [os, architecture, variant] if !variant.is_empty() => {
                Some(Self::with_variant(os, architecture, variant))
            }
            _ => None,
        };
        platform
            .filter(Self::is_well_formed)
            .ok_or_else(|| Error::PlatformForm {
                input: Excerpt::new(text),
            })
    }
}
