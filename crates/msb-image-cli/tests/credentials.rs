//! Credentials from files and helpers, login and logout, against a real registry.

#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

mod common;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::{ok, stderr, stdout};
use msb_testkit::image::{ImageBuilder, Layer};
use msb_testkit::oracle::{Tool, require};
use msb_testkit::registry::{DockerRegistry, RegistryOptions, TokenOptions, TokenServer};
use tempfile::TempDir;

const USER: &str = "me";
const PASSWORD: &str = "hunter2-s3cr3t";
/// `me:hunter2-s3cr3t`
const AUTH: &str = "bWU6aHVudGVyMi1zM2NyM3Q=";
const REFRESH: &str = "refresh-t0ken+/=";

/// A user's home directory, with a cache.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Writes a helper in a process of its own: a file that is open for writing cannot be run.
    fn helper(&self, name: &str, script: &str) {
        let path = self.path(&format!("bin/docker-credential-{name}"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut child = Command::new("sh")
            .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let text = format!("#!/bin/sh\n{script}\n");
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        drop(stdin);
        assert!(child.wait().unwrap().success());
    }

    fn run(&self, args: &[&str], input: &str) -> Output {
        self.run_with(args, input, &[])
    }

    fn run_with(&self, args: &[&str], input: &str, variables: &[(&str, &Path)]) -> Output {
        let stdin = self.write("stdin", input);
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        let mut command = common::command(&self.path("cache"));
        command
            .env("HOME", self.0.path())
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("PATH", path)
            .envs(variables.iter().copied())
            .args(args)
            .stdin(std::fs::File::open(stdin).unwrap());
        command.output().unwrap()
    }

    fn pull(&self, registry: &DockerRegistry, args: &[&str]) -> Output {
        let reference = format!("{}/test:v1", registry.host());
        let host = registry.host();
        let fixed = [
            "pull",
            &reference,
            "--platform",
            "linux/amd64",
            "--policy",
            "always",
            "--progress",
            "none",
            "--plain-http",
            &host,
            "-vv",
        ];
        self.run(&[&fixed[..], args].concat(), "")
    }
}

fn registry(options: RegistryOptions) -> DockerRegistry {
    let registry = DockerRegistry::start(options).unwrap();
    let layout = tempfile::tempdir().unwrap();
    ImageBuilder::new()
        .layer(Layer::recipe("file a data=a").gzip())
        .write_layout(layout.path(), "v1")
        .unwrap();
    registry
        .push_oci_layout(layout.path(), "test", "v1")
        .unwrap();
    registry
}

fn with_password() -> DockerRegistry {
    registry(RegistryOptions {
        basic_auth: Some((USER.into(), PASSWORD.into())),
        ..RegistryOptions::default()
    })
}

/// Checks that a pull worked, where its credentials came from, and that none is in the output.
#[track_caller]
fn pulled_with(output: &Output, origin: &str) {
    let log = stderr(output);
    assert!(output.status.success(), "{log}");
    assert!(
        log.contains("credentials found") && log.contains(origin),
        "{log}"
    );
    no_secret(output);
}

#[track_caller]
fn no_secret(output: &Output) {
    let all = stdout(output) + &stderr(output);
    for secret in [PASSWORD, AUTH, REFRESH] {
        assert!(!all.contains(secret), "{all}");
    }
}

#[test]
fn files_and_helpers_are_used_without_a_flag() {
    let registry = with_password();
    let host = registry.host();
    let auths = format!(r#"{{"auths":{{"{host}":{{"auth":"{AUTH}"}}}}}}"#);

    let home = Home::new();
    let refused = home.pull(&registry, &[]);
    assert_eq!(refused.status.code(), Some(1));
    home.write(".docker/config.json", &auths);
    pulled_with(&home.pull(&registry, &[]), ".docker/config.json");

    let home = Home::new();
    home.write("run/containers/auth.json", &auths);
    pulled_with(&home.pull(&registry, &[]), "containers/auth.json");

    let home = Home::new();
    let entries =
        format!(r#"{{"auths":{{"{host}":{{"auth":"eDp5"}},"{host}/test":{{"auth":"{AUTH}"}}}}}}"#);
    home.write("run/containers/auth.json", &entries);
    pulled_with(&home.pull(&registry, &[]), &format!("{host}/test"));

    let home = Home::new();
    let answer = format!(r#"{{"ServerURL":"x","Username":"{USER}","Secret":"{PASSWORD}"}}"#);
    home.helper("kit", &format!("cat > /dev/null; echo '{answer}'"));
    let config = format!(r#"{{"credHelpers":{{"{host}":"kit"}}}}"#);
    home.write(".docker/config.json", &config);
    pulled_with(&home.pull(&registry, &[]), "docker-credential-kit");

    let home = Home::new();
    let file = home.write("elsewhere.json", &auths);
    let args = ["--auth-file", file.to_str().unwrap()];
    pulled_with(&home.pull(&registry, &args), "elsewhere.json");
    let missing = home.pull(&registry, &["--auth-file", "/nonexistent/auth.json"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("/nonexistent/auth.json"));
}

#[test]
fn a_helper_that_fails_is_named() {
    let registry = with_password();
    let home = Home::new();
    home.helper("kit", "cat > /dev/null; echo it is locked; exit 1");
    let config = format!(r#"{{"credHelpers":{{"{}":"kit"}}}}"#, registry.host());
    home.write(".docker/config.json", &config);
    let output = home.pull(&registry, &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("docker-credential-kit") && text.contains("it is locked"),
        "{text}"
    );
}

#[test]
fn an_identity_token_is_exchanged_and_falls_back_to_get() {
    for refuse_post in [None, Some(404), Some(405)] {
        let tokens = TokenServer::start(TokenOptions {
            user: (USER.into(), PASSWORD.into()),
            refresh_token: REFRESH.into(),
            refuse_post,
        })
        .unwrap();
        let registry = registry(RegistryOptions {
            basic_auth: Some((USER.into(), PASSWORD.into())),
            token: Some((tokens.realm(), tokens.certificate())),
            ..RegistryOptions::default()
        });
        let pushes = tokens.requests().len();
        let home = Home::new();
        let config = format!(
            r#"{{"auths":{{"{}":{{"identitytoken":"{REFRESH}"}}}}}}"#,
            registry.host()
        );
        home.write(".docker/config.json", &config);
        let output = home.pull(&registry, &["--plain-http", &tokens.host()]);
        pulled_with(&output, ".docker/config.json");
        let methods: Vec<(String, u16)> = tokens.requests()[pushes..]
            .iter()
            .map(|request| (request.method.clone(), request.status))
            .collect();
        let expected = match refuse_post {
            None => vec![("POST".to_owned(), 200)],
            Some(status) => vec![("POST".to_owned(), status), ("GET".to_owned(), 200)],
        };
        assert_eq!(methods, expected);
        assert_eq!(tokens.requests()[pushes].scope, "repository:test:pull");

        // A user and a password are exchanged with GET.
        let home = Home::new();
        let config = format!(
            r#"{{"auths":{{"{}":{{"auth":"{AUTH}"}}}}}}"#,
            registry.host()
        );
        home.write(".docker/config.json", &config);
        let output = home.pull(&registry, &["--plain-http", &tokens.host()]);
        pulled_with(&output, ".docker/config.json");
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_login_is_verified_stored_used_and_undone() {
    let registry = with_password();
    let host = registry.host();
    let home = Home::new();
    let other = r#"{"auths":{"other.example":{"auth":"eDp5"}},"detachKeys":"ctrl-q"}"#;
    let config = home.write(".docker/config.json", other);
    let sign_in = |password: &str| {
        let args = [
            "login",
            &host,
            "--plain-http",
            &host,
            "--username",
            USER,
            "--password-stdin",
        ];
        home.run(&args, password)
    };

    let wrong = sign_in("hunter3");
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
    assert!(stderr(&wrong).contains("sign-in at"), "{wrong:?}");
    assert_eq!(std::fs::read_to_string(&config).unwrap(), other);

    let right = sign_in(&format!("{PASSWORD}\n"));
    assert!(ok(&right).contains(".docker/config.json"), "{right:?}");
    no_secret(&right);
    assert_eq!(mode(&config), 0o600);
    let stored = std::fs::read_to_string(&config).unwrap();
    for kept in ["other.example", "detachKeys", &host, AUTH] {
        assert!(stored.contains(kept), "{stored}");
    }
    pulled_with(&home.pull(&registry, &[]), ".docker/config.json");

    let out = ok(&home.run(&["logout", &host], ""));
    assert!(out.contains("erased from"), "{out}");
    let left = std::fs::read_to_string(&config).unwrap();
    assert!(
        left.contains("other.example") && !left.contains(AUTH),
        "{left}"
    );
    assert_eq!(home.pull(&registry, &[]).status.code(), Some(1));
    let again = ok(&home.run(&["logout", &host], ""));
    assert!(again.contains("no credentials"), "{again}");
}

#[test]
fn a_login_goes_through_the_configured_helper() {
    let registry = with_password();
    let host = registry.host();
    let home = Home::new();
    home.write(".docker/config.json", r#"{"credsStore":"kit"}"#);
    let vault = home.path("vault").display().to_string();
    home.helper(
        "kit",
        &format!(
            "case $1 in store) cat > {vault};; get) cat > /dev/null; cat {vault};; erase) cat > /dev/null; rm {vault};; esac"
        ),
    );
    let args = [
        "login",
        &host,
        "--plain-http",
        &host,
        "--username",
        USER,
        "--password-stdin",
    ];
    let stored = home.run(&args, PASSWORD);
    assert!(ok(&stored).contains("docker-credential-kit"), "{stored:?}");
    let config = std::fs::read_to_string(home.path(".docker/config.json")).unwrap();
    assert!(!config.contains(AUTH), "{config}");
    pulled_with(&home.pull(&registry, &[]), "docker-credential-kit");
    let out = ok(&home.run(&["logout", &host], ""));
    assert!(out.contains("docker-credential-kit"), "{out}");
    assert!(!Path::new(&vault).exists());
}

#[test]
fn a_login_is_kept_in_the_password_store_by_dockers_own_helper() {
    let registry = with_password();
    let host = registry.host();
    let home = Home::new();
    home.write(".docker/config.json", r#"{"credsStore":"pass"}"#);
    // The path of the agent's socket is limited to 107 bytes, which a home directory of a test may exceed.
    let keys = tempfile::Builder::new()
        .prefix("gpg")
        .tempdir_in("/tmp")
        .unwrap();
    std::fs::set_permissions(keys.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let kit = |tool, args: &[&str]| {
        let mut command = Command::new(require(tool));
        command
            .env_clear()
            .env("HOME", home.0.path())
            .env("PATH", "/usr/bin:/bin");
        command.env("GNUPGHOME", keys.path()).args(args);
        ok(&command.output().unwrap())
    };
    // The helper runs by its name, as any other.
    let _ = require(Tool::CredentialPass);
    let key = [
        "--batch",
        "--passphrase",
        "",
        "--quick-generate-key",
        "kit@test.invalid",
    ];
    kit(Tool::Gpg, &key);
    kit(Tool::Pass, &["init", "kit@test.invalid"]);
    let run =
        |args: &[&str], input: &str| home.run_with(args, input, &[("GNUPGHOME", keys.path())]);

    let fixed = ["login", &host, "--plain-http", &host];
    let args = [&fixed[..], &["--username", USER, "--password-stdin"]].concat();
    let stored = run(&args, PASSWORD);
    assert!(ok(&stored).contains("docker-credential-pass"), "{stored:?}");
    let reference = format!("{host}/test:v1");
    let pull = [
        "pull",
        &reference,
        "--platform",
        "linux/amd64",
        "--policy",
        "always",
    ];
    let pull = [
        &pull[..],
        &["--progress", "none", "--plain-http", &host, "-vv"],
    ]
    .concat();
    pulled_with(&run(&pull, ""), "docker-credential-pass");
    let out = ok(&run(&["logout", &host], ""));
    assert!(out.contains("docker-credential-pass"), "{out}");
    assert_eq!(run(&pull, "").status.code(), Some(1));
    // Ends the agent, which would outlive its directory.
    let _ = Command::new("gpgconf")
        .args(["--kill", "all"])
        .env("GNUPGHOME", keys.path())
        .status();
}

#[test]
fn a_registry_without_authentication_verifies_nothing() {
    let registry = registry(RegistryOptions::default());
    let host = registry.host();
    let home = Home::new();
    let args = [
        "login",
        &host,
        "--plain-http",
        &host,
        "--username",
        USER,
        "--password-stdin",
    ];
    let output = home.run(&args, PASSWORD);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr(&output).contains("nothing was stored"), "{output:?}");
    assert!(!home.path(".docker/config.json").exists());
}

#[test]
fn a_login_through_a_token_service_asks_for_no_repository() {
    let tokens = TokenServer::start(TokenOptions {
        user: (USER.into(), PASSWORD.into()),
        refresh_token: REFRESH.into(),
        refuse_post: None,
    })
    .unwrap();
    let registry = DockerRegistry::start(RegistryOptions {
        token: Some((tokens.realm(), tokens.certificate())),
        ..RegistryOptions::default()
    })
    .unwrap();
    let (host, realm) = (registry.host(), tokens.host());
    let home = Home::new();
    let args = [
        "login",
        &host,
        "--plain-http",
        &host,
        "--plain-http",
        &realm,
        "--username",
        USER,
        "--password-stdin",
    ];
    ok(&home.run(&args, PASSWORD));
    assert_eq!(tokens.requests()[0].scope, "");
    let wrong = home.run(&args, "hunter3");
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
}
