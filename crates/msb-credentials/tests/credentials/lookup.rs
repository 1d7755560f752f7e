//! Reading credentials from files.

use std::os::unix::fs::symlink;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use msb_credentials::{Credential, DockerCredentials, Error, Origin};

use crate::support::{DOCKER, Home, PODMAN, SECRET, name, whole};

fn auth(pair: &str) -> String {
    format!("{{\"auth\":\"{}\"}}", STANDARD.encode(pair))
}

/// Reads one entry for `h.example` from Docker's file.
fn entry(text: &str) -> Result<Option<Credential>, Error> {
    let home = Home::new();
    home.write(DOCKER, &format!("{{\"auths\":{{\"h.example\":{text}}}}}"));
    home.get("h.example")
}

#[test]
fn each_form_of_credential_is_read() {
    let key = "-----BEGIN KEY-----\nline\n-----END KEY-----\n";
    let cases = [
        (auth("u:p"), Credential::basic("u", "p")),
        (auth("u:p:q"), Credential::basic("u", "p:q")),
        (auth("u:p\0\0"), Credential::basic("u", "p")),
        (auth(":p"), Credential::basic("", "p")),
        (
            auth(&format!("_json_key:{key}")),
            Credential::basic("_json_key", key),
        ),
        (
            "{\"auth\":\"dTpw\\ncHA\"}".into(),
            Credential::basic("u", "ppp"),
        ),
        (
            "{\"username\":\"u\",\"password\":\"p\",\"email\":\"x\"}".into(),
            Credential::basic("u", "p"),
        ),
        (
            "{\"auth\":\"dTo=\",\"identitytoken\":\"t\"}".into(),
            Credential::identity_token("t"),
        ),
        (
            "{\"auth\":\"dTpw\",\"identitytoken\":\"t\",\"registrytoken\":\"r\"}".into(),
            Credential::bearer("r"),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(entry(&text).unwrap(), Some(expected), "{text}");
    }
}

#[test]
fn the_longest_matching_key_wins_and_empty_entries_fall_through() {
    let home = Home::new();
    let config = format!(
        "{{\"auths\":{{\"https://h.example/v1/\":{},\"h.example\":{{}},\"h.example/team\":{},\"h.example/team/app\":{}}}}}",
        auth("host:p"),
        auth("team:p"),
        auth("app:p")
    );
    let path = home.write(PODMAN, &config);
    let cases = [
        (Some("team/app"), "app"),
        (Some("team/app/sub"), "app"),
        (Some("team/application"), "team"),
        (Some("teams/app"), "host"),
        (None, "host"),
    ];
    for (repository, user) in cases {
        let found = home
            .credentials()
            .get(&name("h.example"), repository)
            .unwrap()
            .unwrap();
        assert_eq!(
            found.credential,
            Credential::basic(user, "p"),
            "{repository:?}"
        );
        assert!(matches!(&found.origin, Origin::File { path: p, .. } if *p == path));
    }
    assert_eq!(home.get("other.example").unwrap(), None);
    assert_eq!(home.get("h.example:5000").unwrap(), None);
}

#[test]
fn the_first_file_with_a_credential_ends_the_search() {
    let home = Home::new();
    home.write(
        PODMAN,
        &format!("{{\"auths\":{{\"h.example\":{}}}}}", auth("run:p")),
    );
    home.write(".config/containers/auth.json", "not JSON");
    assert_eq!(
        home.get("h.example").unwrap(),
        Some(Credential::basic("run", "p"))
    );
    assert!(
        home.get("other.example").is_err(),
        "the malformed file is reached"
    );

    home.write(".config/containers/auth.json", "");
    home.write(
        DOCKER,
        &format!(
            "{{\"auths\":{{\"h.example\":{},\"d.example\":{}}}}}",
            auth("docker:p"),
            auth("docker:p")
        ),
    );
    home.write(
        ".dockercfg",
        &format!("{{\"https://old.example/v1/\":{}}}", auth("old:p")),
    );
    for (registry, user) in [
        ("h.example", "run"),
        ("d.example", "docker"),
        ("old.example", "old"),
    ] {
        assert_eq!(
            home.get(registry).unwrap(),
            Some(Credential::basic(user, "p"))
        );
    }
}

#[test]
fn docker_hub_is_found_under_each_of_its_names() {
    for key in [
        "docker.io",
        "index.docker.io",
        "registry-1.docker.io",
        "https://index.docker.io/v1/",
    ] {
        let home = Home::new();
        home.write(
            DOCKER,
            &format!("{{\"auths\":{{\"{key}\":{}}}}}", auth("u:p")),
        );
        for registry in ["docker.io", "index.docker.io", "registry-1.docker.io"] {
            assert_eq!(
                home.get(registry).unwrap(),
                Some(Credential::basic("u", "p")),
                "{key} {registry}"
            );
        }
    }
}

#[test]
fn odd_values_count_as_absent() {
    let configs = [
        "{}",
        " \n ",
        "{\"auths\":null}",
        "{\"auths\":[1,{}],\"credHelpers\":3,\"credsStore\":{}}",
        "{\"auths\":{\"h.example\":null}}",
        "{\"auths\":{\"h.example\":\"x\"}}",
        "{\"auths\":{\"h.example\":{\"auth\":null,\"identitytoken\":4,\"registrytoken\":[]}}}",
        "{\"auths\":{\"h.example\":{\"auth\":\"\"}}}",
        "{\"auths\":{\"h.example\":{\"auth\":\"Og==\"}}}",
        "{\"auths\":{\"h.example\":{\"username\":\"u\"}}}",
        "{\"auths\":{\"\":{\"auth\":\"dTpw\"},\"https://\":{\"auth\":\"dTpw\"},\"/\":{\"auth\":\"dTpw\"}}}",
        "{\"credHelpers\":{\"h.example\":null,\"x\":[]},\"credsStore\":\"\"}",
    ];
    for config in configs {
        let home = Home::new();
        home.write(DOCKER, config);
        assert_eq!(home.get("h.example").unwrap(), None, "{config}");
    }
}

#[test]
fn a_malformed_entry_is_named_and_harms_no_other_registry() {
    let cases = [
        ("{\"auth\":\"hunter2-s3cr3t!\"}".to_owned(), "not base64"),
        (auth(SECRET), "USER:PASSWORD"),
        ("{\"auth\":\"/////w==\"}".to_owned(), "UTF-8"),
        (
            format!("{{\"username\":\"a:b\",\"password\":\"{SECRET}\"}}"),
            "colon",
        ),
    ];
    for (text, expected) in cases {
        let home = Home::new();
        let config = format!(
            "{{\"auths\":{{\"h.example\":{text},\"good.example\":{}}}}}",
            auth("u:p")
        );
        let path = home.write(DOCKER, &config);
        let error = home.get("h.example").unwrap_err();
        assert!(error.is_corrupt());
        let message = whole(&error);
        for part in [expected, "h.example", path.to_str().unwrap()] {
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(
            home.get("good.example").unwrap(),
            Some(Credential::basic("u", "p"))
        );
    }
}

#[test]
fn malformed_json_names_file_line_and_column() {
    let deep = "[".repeat(100_000);
    let cases = [
        (
            format!("{{\n  \"auths\": {{\n    \"{SECRET}\": oops\n"),
            ":3:",
        ),
        (format!("{{\"auths\":\n\"{SECRET}"), ":2:"),
        ("{} x".to_owned(), ":1:4"),
        ("{\"a\": \"\u{1}\"}".to_owned(), ":1:8"),
        (deep, ":1:"),
        ("[1]".to_owned(), "not a JSON object"),
        (format!("\"{SECRET}\""), "not a JSON object"),
    ];
    for (text, expected) in cases {
        let home = Home::new();
        let path = home.write(DOCKER, &text);
        let error = home.get("h.example").unwrap_err();
        assert!(error.is_corrupt());
        let message = whole(&error);
        assert!(message.starts_with(path.to_str().unwrap()), "{message}");
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let home = Home::new();
    std::fs::create_dir_all(home.path("directory")).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(home.path("fifo"))
            .status()
            .unwrap()
            .success()
    );
    let _socket = std::os::unix::net::UnixListener::bind(home.path("socket")).unwrap();
    symlink(home.path("loop"), home.path("loop")).unwrap();
    std::fs::File::create(home.path("large"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let paths = [
        "directory",
        "fifo",
        "socket",
        "loop",
        "large",
        "fifo/config.json",
    ];
    let mut all: Vec<_> = paths.map(|name| home.path(name)).to_vec();
    all.push("/dev/zero".into());
    for path in all {
        let credentials = home.credentials().with_auth_file(&path);
        let error = credentials.get(&name("h.example"), None).unwrap_err();
        assert!(whole(&error).contains(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn a_link_to_nothing_is_no_file_and_an_explicit_file_must_exist() {
    let home = Home::new();
    std::fs::create_dir_all(home.path(".docker")).unwrap();
    symlink("nowhere", home.path(DOCKER)).unwrap();
    assert_eq!(home.get("h.example").unwrap(), None);

    let explicit = home.credentials().with_auth_file(home.path("missing.json"));
    let error = explicit.get(&name("h.example"), None).unwrap_err();
    assert!(whole(&error).contains("missing.json"));

    let variable = DockerCredentials::from_vars(|var| {
        (var == "REGISTRY_AUTH_FILE").then(|| home.path("missing.json").into_os_string())
    });
    assert_eq!(variable.get(&name("h.example"), None).unwrap(), None);
}

#[test]
fn an_explicit_file_stands_alone() {
    let home = Home::new();
    home.write(
        DOCKER,
        &format!("{{\"auths\":{{\"h.example\":{}}}}}", auth("docker:p")),
    );
    let path = home.write(
        "own.json",
        &format!("{{\"auths\":{{\"o.example\":{}}}}}", auth("own:p")),
    );
    let credentials = home.credentials().with_auth_file(path);
    assert_eq!(credentials.get(&name("h.example"), None).unwrap(), None);
    let found = credentials.get(&name("o.example"), None).unwrap().unwrap();
    assert_eq!(found.credential, Credential::basic("own", "p"));
}

#[test]
fn nothing_prints_a_secret() {
    let home = Home::new();
    home.write(
        DOCKER,
        &format!(
            "{{\"auths\":{{\"h.example\":{}}}}}",
            auth(&format!("{SECRET}:{SECRET}"))
        ),
    );
    let found = home
        .credentials()
        .get(&name("h.example"), None)
        .unwrap()
        .unwrap();
    let printed = format!(
        "{found:?} {} {:?}",
        found.origin,
        Credential::identity_token(SECRET)
    );
    assert!(!printed.contains(SECRET), "{printed}");
    assert!(
        printed.contains("config.json, entry h.example"),
        "{printed}"
    );
}
