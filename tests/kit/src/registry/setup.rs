//! The configuration of the registry: YAML, passwords and certificates.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::RegistryOptions;
use super::token::{ISSUER, SERVICE};
use crate::{
    KitError, command,
    oracle::{Tool, require},
};

/// Writes all files into `folder`. Returns the path of the YAML.
pub(super) fn write(
    folder: &Path,
    port: u16,
    options: &RegistryOptions,
) -> Result<PathBuf, KitError> {
    let at = |name: &str| folder.join(name).display().to_string();
    let mut yaml = format!(
        "version: 0.1\n\
         log:\n  accesslog:\n    disabled: false\n  level: warn\n\
         storage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\n\
         validation:\n  manifests:\n    urls:\n      allow: ['.*']\n\
         http:\n  addr: 127.0.0.1:{port}\n",
        at("storage")
    );
    if options.tls {
        certificates(folder)?;
        yaml.push_str(&format!(
            "  tls:\n    certificate: {}\n    key: {}\n",
            at("server.pem"),
            at("server.key")
        ));
    }
    if let Some((realm, certificate)) = &options.token {
        let certificate = certificate.display();
        yaml.push_str(&format!(
            "auth:\n  token:\n    realm: {realm}\n    service: {SERVICE}\n    issuer: {ISSUER}\n    rootcertbundle: {certificate}\n"
        ));
    } else if let Some((user, password)) = &options.basic_auth {
        let mut htpasswd = Command::new(require(Tool::Htpasswd));
        // The registry supports bcrypt only; the lowest cost keeps tests fast.
        let output = command::run(htpasswd.args(["-B", "-C", "4", "-b", "-n", user, password]))?;
        fs::write(folder.join("htpasswd"), output.stdout)
            .map_err(KitError::io("write", folder.join("htpasswd")))?;
        yaml.push_str(&format!(
            "auth:\n  htpasswd:\n    realm: test\n    path: {}\n",
            at("htpasswd")
        ));
    }
    if let Some(remote) = &options.proxy {
        yaml.push_str(&format!("proxy:\n  remoteurl: {remote}\n"));
    }
    let path = folder.join("config.yml");
    fs::write(&path, yaml).map_err(KitError::io("write", &path))?;
    Ok(path)
}

/// Creates a certificate authority and a server certificate of it.
fn certificates(folder: &Path) -> Result<(), KitError> {
    let openssl = |arguments: &[&str]| {
        command::run(
            Command::new(require(Tool::Openssl))
                .current_dir(folder)
                .args(arguments),
        )
        .map(drop)
    };
    let extensions = "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n";
    fs::write(folder.join("server.ext"), extensions)
        .map_err(KitError::io("write", folder.join("server.ext")))?;
    let key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
    ];
    openssl(
        &[
            &[
                "req",
                "-x509",
                "-days",
                "30",
                "-subj",
                "/CN=msb-testkit authority",
            ],
            &key[..],
            &["ca.key", "-out", "ca.pem"],
        ]
        .concat(),
    )?;
    openssl(
        &[
            &["req", "-subj", "/CN=localhost"],
            &key[..],
            &["server.key", "-out", "server.csr"],
        ]
        .concat(),
    )?;
    openssl(&[
        "x509",
        "-req",
        "-days",
        "30",
        "-in",
        "server.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-extfile",
        "server.ext",
        "-out",
        "server.pem",
    ])
}
