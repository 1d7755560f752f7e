use clap::Args;
use microsandbox_image::Platform;

/// The platform of the image.
#[derive(Debug, Args)]
pub(crate) struct PlatformArgs {
    /// Platform of the image; an architecture alone means Linux [default: linux/<this machine's>]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_parser = parse_platform)]
    platform: Option<Platform>,
}

impl PlatformArgs {
    pub(crate) fn given(&self) -> Option<&Platform> {
        self.platform.as_ref()
    }

    pub(crate) fn platform(&self) -> Platform {
        self.platform.clone().unwrap_or_else(Platform::host_linux)
    }
}

/// Parses `OS/ARCH[/VARIANT]`. `ARCH[/VARIANT]` alone means Linux if it is a known architecture.
fn parse_platform(text: &str) -> Result<Platform, String> {
    let architecture = text.split('/').next().unwrap_or_default();
    let text = if ARCHITECTURES.contains(&&*architecture.to_ascii_lowercase()) {
        format!("linux/{text}")
    } else {
        text.to_owned()
    };
    text.parse::<Platform>().map_err(|error| error.to_string())
}

/// Architectures by Go's names (the `GOARCH` values that image-index.md refers to) and by the names that `uname -m` prints.
const ARCHITECTURES: &[&str] = &[
    "386",
    "aarch64",
    "amd64",
    "arm",
    "arm64",
    "armel",
    "armhf",
    "i386",
    "i686",
    "loong64",
    "loongarch64",
    "mips",
    "mips64",
    "mips64le",
    "mipsle",
    "ppc64",
    "ppc64el",
    "ppc64le",
    "riscv64",
    "s390x",
    "x86_64",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_architecture_alone_means_linux() {
        let parse = |text: &str| parse_platform(text).map(|platform| platform.to_string());
        for (text, platform) in [
            ("arm64", "linux/arm64"),
            ("aarch64", "linux/arm64"),
            ("AMD64", "linux/amd64"),
            ("arm/v6", "linux/arm/v6"),
            ("linux/arm64", "linux/arm64"),
            ("windows/amd64", "windows/amd64"),
        ] {
            assert_eq!(parse(text).as_deref(), Ok(platform), "{text}");
        }
        for text in [
            "linux",
            "windows",
            "",
            "/",
            "arm64/",
            "amd46",
            "arm64/v8/x",
            "linux/arm64/v8/x",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
