//! One spelling for every platform, and the order of an architecture's variants.

/// Normalizes a platform: lower case, and one spelling for each name, as containerd's `platforms` package does.
pub(crate) fn normalize(
    os: &str,
    architecture: &str,
    variant: Option<&str>,
) -> (String, String, Option<String>) {
    let os = match os.to_ascii_lowercase().as_str() {
        "macos" => "darwin".to_owned(),
        other => other.to_owned(),
    };
    let architecture = architecture.to_ascii_lowercase();
    let variant = variant
        .map(str::to_ascii_lowercase)
        .filter(|variant| !variant.is_empty());
    let (architecture, variant) = match (architecture.as_str(), variant.as_deref()) {
        ("aarch64" | "arm64", None | Some("8" | "v8" | "v8.0")) => ("arm64", None),
        ("aarch64" | "arm64", Some(other)) => ("arm64", Some(with_v(other))),
        ("x86_64" | "x86-64" | "amd64", None | Some("1" | "v1")) => ("amd64", None),
        ("x86_64" | "x86-64" | "amd64", Some(other)) => ("amd64", Some(with_v(other))),
        ("armhf", _) => ("arm", Some("v7".to_owned())),
        ("armel", _) => ("arm", Some("v6".to_owned())),
        // Images for arm without a variant are v7 by custom.
        ("arm", variant) => ("arm", Some(with_v(variant.unwrap_or("v7")))),
        ("i386" | "i486" | "i586" | "i686" | "x86" | "386", _) => ("386", None),
        ("powerpc64le" | "ppc64el", variant) => ("ppc64le", variant.map(str::to_owned)),
        ("loongarch64", variant) => ("loong64", variant.map(str::to_owned)),
        (other, variant) => (other, variant.map(str::to_owned)),
    };
    (os, architecture.to_owned(), variant)
}

/// Adds the `v` of a variant that lacks it: `7` is `v7`.
fn with_v(variant: &str) -> String {
    if variant.starts_with(|c: char| c.is_ascii_digit()) {
        format!("v{variant}")
    } else {
        variant.to_owned()
    }
}

/// Returns how well a machine of one variant runs images of another: 0 for the same variant, `None` if it cannot.
///
/// Only variants that are known to be downward compatible have an order: `arm` down to v5, `arm64` down to v8, `amd64` down to v1.
pub(crate) fn variant_distance(
    architecture: &str,
    wanted: Option<&str>,
    offered: Option<&str>,
) -> Option<u32> {
    if wanted == offered {
        return Some(0);
    }
    let lowest = match architecture {
        "arm" => Level { major: 5, minor: 0 },
        "arm64" => Level { major: 8, minor: 0 },
        "amd64" => Level { major: 1, minor: 0 },
        _ => return None,
    };
    let level = |variant: Option<&str>| variant.map_or(Some(lowest), Level::parse);
    let (wanted, offered) = (level(wanted)?, level(offered)?);
    if offered > wanted || offered < lowest {
        return None;
    }
    Some((wanted.rank() - offered.rank()).max(1))
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Level {
    major: u8,
    minor: u8,
}

impl Level {
    fn parse(variant: &str) -> Option<Self> {
        let (major, minor) = match variant.strip_prefix('v')?.split_once('.') {
            Some((major, minor)) => (major, minor),
            None => (variant.strip_prefix('v')?, "0"),
        };
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }

    fn rank(self) -> u32 {
        u32::from(self.major) * 256 + u32::from(self.minor)
    }
}
