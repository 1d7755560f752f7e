//! Pushing byte for byte over HTTP/1.1, as the distribution specification writes it down, and no cleverer than that.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    net::TcpStream,
    path::Path,
};

use serde_json::Value;

use super::DockerRegistry;
use crate::{KitError, digest, image::blob_path};

pub(super) fn push(
    registry: &DockerRegistry,
    layout: &Path,
    name: &str,
    tag: &str,
) -> Result<String, KitError> {
    let index = read(&layout.join("index.json"))?;
    let descriptor = index["manifests"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|descriptor| descriptor["annotations"]["org.opencontainers.image.ref.name"] == tag)
        .ok_or_else(|| KitError::Registry {
            reason: format!("no tag {tag} in {}", layout.display()),
        })?;
    let client = Client {
        registry,
        layout,
        name,
    };
    client.manifest(descriptor, tag)?;
    Ok(text(&descriptor["digest"]))
}

struct Client<'a> {
    registry: &'a DockerRegistry,
    layout: &'a Path,
    name: &'a str,
}

impl Client<'_> {
    /// Pushes what a manifest or index names, then itself as `reference` (a tag or its own digest).
    fn manifest(&self, descriptor: &Value, reference: &str) -> Result<(), KitError> {
        let path = blob_path(self.layout, &text(&descriptor["digest"]));
        // A child that does not exist is left out: some tests' indexes name such.
        if !path.exists() {
            return Ok(());
        }
        let manifest = read(&path)?;
        for child in manifest["manifests"].as_array().into_iter().flatten() {
            self.manifest(child, &text(&child["digest"]))?;
        }
        for blob in std::iter::once(&manifest["config"])
            .chain(manifest["layers"].as_array().into_iter().flatten())
        {
            self.blob(&text(&blob["digest"]))?;
        }
        let bytes = fs::read(&path).map_err(KitError::io("read", &path))?;
        let target = format!("/v2/{}/manifests/{reference}", self.name);
        self.send(
            "PUT",
            &target,
            &text(&descriptor["mediaType"]),
            bytes.len() as u64,
            &bytes[..],
        )
        .map(drop)
    }

    fn blob(&self, wanted: &str) -> Result<(), KitError> {
        let path = blob_path(self.layout, wanted);
        if !path.exists() {
            return Ok(());
        }
        let location = self.send(
            "POST",
            &format!("/v2/{}/blobs/uploads/", self.name),
            "",
            0,
            io::empty(),
        )?;
        let target = location
            .split_once("://")
            .map_or(location.as_str(), |(_, rest)| {
                &rest[rest.find('/').unwrap_or(rest.len())..]
            });
        let target = format!(
            "{target}{}digest={wanted}",
            if target.contains('?') { '&' } else { '?' }
        );
        let (_, length) = digest::sha256_file(&path)?;
        let file = File::open(&path).map_err(KitError::io("open", &path))?;
        self.send("PUT", &target, "application/octet-stream", length, file)
            .map(drop)
    }

    /// One request on a connection of its own; the answer's Location.
    fn send(
        &self,
        method: &str,
        target: &str,
        media_type: &str,
        length: u64,
        mut body: impl Read,
    ) -> Result<String, KitError> {
        let host = self.registry.host();
        let failed = |source| KitError::Io {
            step: "talk to the registry about",
            path: target.into(),
            source,
        };
        let mut stream = TcpStream::connect(&host).map_err(failed)?;
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).map_err(failed)?;
        io::copy(&mut body, &mut stream).map_err(failed)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map_err(failed)?;
        let answer = String::from_utf8_lossy(&answer);
        if !matches!(answer.split(' ').nth(1), Some("201" | "202")) {
            return Err(KitError::Registry {
                reason: format!("{method} {target}: {}", answer.replace("\r\n", " ")),
            });
        }
        let location = answer
            .lines()
            .find_map(|line| line.strip_prefix("Location: "));
        Ok(location.unwrap_or_default().to_owned())
    }
}

fn read(path: &Path) -> Result<Value, KitError> {
    let bytes = fs::read(path).map_err(KitError::io("read", path))?;
    serde_json::from_slice(&bytes).map_err(|_| KitError::Parse {
        what: "OCI layout",
        line: path.display().to_string(),
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
