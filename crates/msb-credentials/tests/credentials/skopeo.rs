//! The same files with skopeo, which reads and writes podman's form.

use std::process::{Command, Output};

use msb_credentials::Credential;
use msb_testkit::oracle::{Tool, require};
use msb_testkit::registry::{DockerRegistry, RegistryOptions};

use crate::support::{DOCKER, Home, PODMAN, name};

/// Runs skopeo with the files of this home.
fn skopeo(home: &Home, arguments: &[&str]) -> Output {
    let mut command = Command::new(require(Tool::Skopeo));
    command.args(arguments).env_clear();
    for var in ["HOME", "XDG_RUNTIME_DIR"] {
        command.env(var, home.var(var).unwrap());
    }
    std::fs::create_dir_all(home.path("run")).unwrap();
    command.output().unwrap()
}

/// The user that skopeo finds for a registry or repository.
fn user_of(home: &Home, key: &str) -> Option<String> {
    let output = skopeo(home, &["login", "--get-login", key]);
    let text = String::from_utf8(output.stdout).unwrap();
    output.status.success().then(|| text.trim().to_owned())
}

fn ours(home: &Home, key: &str) -> Option<String> {
    let (registry, repository) = match key.split_once('/') {
        Some((registry, repository)) => (registry, Some(repository)),
        None => (key, None),
    };
    let found = home
        .credentials()
        .get(&name(registry), repository)
        .unwrap()?;
    match found.credential {
        Credential::Basic { username, .. } => Some(username),
        other => panic!("unexpected {other:?}"),
    }
}

#[test]
fn a_login_of_skopeo_is_found_and_its_logout_counts() {
    let registry = DockerRegistry::start(RegistryOptions {
        basic_auth: Some(("alice".into(), "p:w".into())),
        ..RegistryOptions::default()
    })
    .unwrap();
    let home = Home::new();
    let host = registry.host();
    for key in [host.clone(), format!("{host}/team/app")] {
        let arguments = [
            "login",
            "--tls-verify=false",
            "-u",
            "alice",
            "-p",
            "p:w",
            &key,
        ];
        let output = skopeo(&home, &arguments);
        assert!(output.status.success(), "{output:?}");
        assert!(home.path(PODMAN).exists());
        let (_, repository) = key.split_once('/').unwrap_or((&key, ""));
        let found = home
            .credentials()
            .get(&name(&host), Some(repository))
            .unwrap()
            .unwrap();
        assert_eq!(found.credential, Credential::basic("alice", "p:w"));
        assert!(
            found.origin.to_string().ends_with(&format!("entry {key}")),
            "{}",
            found.origin
        );
        assert!(skopeo(&home, &["logout", &key]).status.success());
        assert_eq!(
            home.credentials()
                .get(&name(&host), Some(repository))
                .unwrap(),
            None
        );
    }
}

#[test]
fn skopeo_logs_in_with_what_was_stored() {
    let registry = DockerRegistry::start(RegistryOptions {
        basic_auth: Some(("alice".into(), "p:w".into())),
        ..RegistryOptions::default()
    })
    .unwrap();
    let home = Home::new();
    let list = format!("docker://{}/none", registry.host());
    let arguments = ["list-tags", "--tls-verify=false", &list];
    let refused = String::from_utf8(skopeo(&home, &arguments).stderr).unwrap();
    assert!(refused.contains("authentication required"), "{refused}");
    home.credentials()
        .store(&name(&registry.host()), &Credential::basic("alice", "p:w"))
        .unwrap();
    let accepted = String::from_utf8(skopeo(&home, &arguments).stderr).unwrap();
    // It is let in, and the repository is not there.
    assert!(!accepted.contains("authentication required"), "{accepted}");
    assert!(accepted.contains("404"), "{accepted}");
}

#[test]
fn the_same_user_is_found_as_by_skopeo() {
    let entry = |user: &str| {
        use base64::Engine as _;
        let auth = base64::engine::general_purpose::STANDARD.encode(format!("{user}:p"));
        format!("{{\"auth\":\"{auth}\"}}")
    };
    let file = |users: &[(&str, &str)]| {
        let entries = users
            .iter()
            .map(|(key, user)| format!("\"{key}\":{}", entry(user)));
        format!(
            "{{\"auths\":{{{}}}}}",
            entries.collect::<Vec<_>>().join(",")
        )
    };
    let home = Home::new();
    home.write(
        PODMAN,
        &file(&[
            ("a.example", "run-a"),
            ("a.example/n", "run-a-n"),
            ("a.example/n/m", "run-a-n-m"),
        ]),
    );
    home.write(
        ".config/containers/auth.json",
        &file(&[
            ("a.example", "conf-a"),
            ("b.example", "conf-b"),
            ("docker.io/team", "conf-team"),
        ]),
    );
    home.write(
        DOCKER,
        &file(&[
            ("b.example", "docker-b"),
            ("c.example:5000", "docker-c"),
            ("https://index.docker.io/v1/", "docker-hub"),
            ("https://d.example", "docker-d"),
            ("http://e.example/v1/", "docker-e"),
            ("https://g.example/some/path", "docker-g"),
        ]),
    );
    home.write(
        ".dockercfg",
        "{\"https://f.example/v1/\":{\"auth\":\"bGVnYWN5OnA=\"}}",
    );
    let keys = [
        "a.example",
        "a.example/n",
        "a.example/n/m",
        "a.example/n/m/x",
        "a.example/nn",
        "a.example/o",
        "b.example",
        "b.example/x",
        "c.example",
        "c.example:5000",
        "c.example:5000/x",
        "docker.io",
        "docker.io/library/alpine",
        "docker.io/team/app",
        "index.docker.io",
        "registry-1.docker.io",
        "d.example",
        "d.example/x/y",
        "e.example",
        "f.example",
        "g.example",
        "g.example/other",
        "h.example",
    ];
    for key in keys {
        assert_eq!(ours(&home, key), user_of(&home, key), "{key}");
    }
}
