//! Credential helpers, those that work and those that do not.

use std::time::{Duration, Instant};

use msb_credentials::{Credential, Error, Origin};

use crate::support::{DOCKER, Home, PODMAN, SECRET, name, whole};

const NOT_FOUND: &str = "cat > /dev/null; echo 'credentials not found in native keychain'; exit 1";

/// A helper that answers with the server URL as the user's name.
fn echo(secret: &str) -> String {
    format!(
        "[ \"$1\" = get ] || exit 9\nread -r url\nprintf '{{\"ServerURL\":\"%s\",\"Username\":\"%s\",\"Secret\":\"{secret}\"}}\\n' \"$url\" \"$(echo $url | tr -d :)\""
    )
}

fn user(name: &str) -> Option<Credential> {
    Some(Credential::basic(name, "p"))
}

#[test]
fn a_helper_is_chosen_by_registry_then_for_all_then_the_file() {
    let home = Home::new();
    home.helper("own", &echo("p"));
    home.helper(
        "all",
        "cat >/dev/null; echo '{\"Username\":\"all\",\"Secret\":\"p\"}'",
    );
    home.write(
        DOCKER,
        "{\"credsStore\":\"all\",\"credHelpers\":{\"own.example\":\"own\",\"https://url.example\":\"own\",\"off.example\":\"\"},
          \"auths\":{\"own.example\":{},\"off.example\":{\"auth\":\"ZmlsZTpw\"}}}",
    );
    assert_eq!(home.get("own.example").unwrap(), user("own.example"));
    assert_eq!(home.get("url.example").unwrap(), user("url.example"));
    assert_eq!(home.get("any.example").unwrap(), user("all"));
    assert_eq!(home.get("off.example").unwrap(), user("file"));
    let found = home
        .credentials()
        .get(&name("own.example"), None)
        .unwrap()
        .unwrap();
    assert!(matches!(found.origin, Origin::Helper { .. }));
    assert!(
        found
            .origin
            .to_string()
            .starts_with("docker-credential-own, entry own.example")
    );
}

#[test]
fn not_found_is_anonymous_and_the_search_goes_on() {
    let home = Home::new();
    home.helper("none", NOT_FOUND);
    // docker-credential-pass answers so for what it does not have.
    home.helper(
        "empty",
        "echo '{\"ServerURL\":\"x\",\"Username\":\"\",\"Secret\":\"\"}'",
    );
    for helper in ["none", "empty"] {
        let config = format!(
            "{{\"credsStore\":\"{helper}\",\"auths\":{{\"file.example\":{{\"auth\":\"ZmlsZTpw\"}}}}}}"
        );
        home.write(PODMAN, &config);
        home.write(
            DOCKER,
            "{\"auths\":{\"next.example\":{\"auth\":\"bmV4dDpw\"}}}",
        );
        assert_eq!(home.get("file.example").unwrap(), user("file"));
        assert_eq!(home.get("next.example").unwrap(), user("next"));
        assert_eq!(home.get("other.example").unwrap(), None);
    }
}

#[test]
fn a_token_user_is_an_identity_token() {
    let home = Home::new();
    home.helper(
        "t",
        "echo '{\"username\":\"<token>\",\"SECRET\":\"t\"}' and more text",
    );
    home.write(DOCKER, "{\"credsStore\":\"t\"}");
    assert_eq!(
        home.get("h.example").unwrap(),
        Some(Credential::identity_token("t"))
    );
}

#[test]
fn docker_hub_is_asked_for_under_the_keys_of_docker_and_podman() {
    let home = Home::new();
    home.write(DOCKER, "{\"credHelpers\":{\"docker.io\":\"hub\"}}");
    home.helper("hub", &echo("p"));
    assert_eq!(
        home.get("registry-1.docker.io").unwrap(),
        user("https//index.docker.io/v1/")
    );
    home.helper(
        "hub",
        "read -r url; [ $url = docker.io ] && echo '{\"Username\":\"podman\",\"Secret\":\"p\"}' || { echo 'credentials not found in native keychain'; exit 1; }",
    );
    assert_eq!(home.get("docker.io").unwrap(), user("podman"));
}

#[test]
fn a_helper_that_fails_is_named() {
    let home = Home::new();
    let cases = [
        ("missing", None, "not found in $PATH"),
        (
            "fails",
            Some("echo 'no such keyring'; exit 3".to_owned()),
            "exit status: 3: no such keyring",
        ),
        (
            "stderr",
            Some("echo 'gpg: no key' >&2; exit 2".to_owned()),
            "gpg: no key",
        ),
        ("silent", Some("exit 1".to_owned()), "exit status: 1"),
        (
            "leaks",
            Some(format!("echo '{{\"Secret\":\"{SECRET}\"}}'; exit 1")),
            "exit status: 1",
        ),
        (
            "leaks-line-2",
            Some(format!(
                "echo warning; echo '{{\"Secret\":\"{SECRET}\"}}'; exit 1"
            )),
            "exit status: 1",
        ),
        ("killed", Some("kill -9 $$".to_owned()), "signal: 9"),
        ("garbage", Some(format!("echo {SECRET}")), "JSON"),
        ("nothing", Some("true".to_owned()), "JSON"),
        ("array", Some("echo '[1]'".to_owned()), "JSON"),
        ("object", Some("echo '{}'".to_owned()), "JSON"),
        (
            "types",
            Some(format!(
                "echo '{{\"Username\":\"u\",\"Secret\":[\"{SECRET}\"]}}'"
            )),
            "JSON",
        ),
        (
            "cut",
            Some(format!(
                "printf '{{\"Username\":\"u\",\"Secret\":\"{SECRET}'"
            )),
            "JSON",
        ),
        (
            "colon",
            Some(format!(
                "echo '{{\"Username\":\"a:b\",\"Secret\":\"{SECRET}\"}}'"
            )),
            "colon",
        ),
        ("endless", Some("yes".to_owned()), "more than 1048576 bytes"),
        (
            "escape",
            Some("printf '\\033[31mred\\n'; exit 1".to_owned()),
            "\\u{1b}[31mred",
        ),
    ];
    for (helper, script, expected) in cases {
        if let Some(script) = script {
            home.helper(helper, &script);
        }
        home.write(DOCKER, &format!("{{\"credsStore\":\"{helper}\"}}"));
        let error = home.get("h.example").unwrap_err();
        assert!(error.is_helper());
        let message = whole(&error);
        assert!(
            message.contains(&format!("docker-credential-{helper} ")),
            "{message}"
        );
        assert!(
            message.contains("h.example") && message.contains(expected),
            "{helper}: {message}"
        );
        assert!(!message.contains('\u{1b}'), "{message}");
    }
}

#[test]
fn a_helper_that_cannot_be_started_is_named() {
    let home = Home::new();
    let path = home.write("bin/docker-credential-broken", "#!/no/such/interpreter\n");
    assert!(
        std::process::Command::new("chmod")
            .arg("755")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    home.write(DOCKER, "{\"credsStore\":\"broken\"}");
    let message = whole(&home.get("h.example").unwrap_err());
    assert!(
        message.contains("docker-credential-broken") && message.contains("cannot be started"),
        "{message}"
    );
    // Not executable is as good as not there.
    home.write("bin/docker-credential-text", "hello");
    home.write(DOCKER, "{\"credsStore\":\"text\"}");
    assert!(whole(&home.get("h.example").unwrap_err()).contains("not found"));
}

#[test]
fn a_name_that_leads_out_of_the_search_path_is_refused() {
    let home = Home::new();
    home.helper("good", &echo("p"));
    std::fs::create_dir_all(home.path("bin/docker-credential-")).unwrap();
    for helper in ["../bin/docker-credential-good", "/good", "a\\nb", "..\\\\x"] {
        home.write(DOCKER, &format!("{{\"credsStore\":\"{helper}\"}}"));
        let error = home.get("h.example").unwrap_err();
        assert!(
            whole(&error).contains("not the name of a helper"),
            "{error}"
        );
    }
    // The working directory is no place for helpers, even if the search path names it.
    home.write(DOCKER, "{\"credsStore\":\"good\"}");
    for path in [".", "", "bin", ":"] {
        let credentials = msb_credentials::DockerCredentials::from_vars(|var| match var {
            "PATH" => Some(path.into()),
            var => home.var(var),
        });
        assert!(
            credentials.get(&name("h.example"), None).is_err(),
            "{path:?}"
        );
    }
}

#[test]
fn a_helper_that_hangs_is_killed_with_its_children() {
    let home = Home::new();
    let pids = home.path("pids");
    let script = format!(
        "echo $$ > '{0}'; sleep 1000 & echo $! >> '{0}'; wait",
        pids.display()
    );
    home.helper("hangs", &script);
    // Closed pipes are no end either.
    home.helper("mute", "exec sleep 1000 < /dev/null > /dev/null 2>&1");
    for helper in ["hangs", "mute"] {
        home.write(DOCKER, &format!("{{\"credsStore\":\"{helper}\"}}"));
        let credentials = home
            .credentials()
            .with_helper_timeout(Duration::from_secs(2));
        let error = credentials.get(&name("h.example"), None).unwrap_err();
        assert!(error.is_temporary());
        let message = whole(&error);
        assert!(
            message.contains("no answer within 2 s") && message.contains(helper),
            "{message}"
        );
    }
    let is_alive = |pid: &str| {
        // A killed process stays in the table until its parent looks.
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
        status.is_ok_and(|status| !status.contains("State:\tZ"))
    };
    let text = std::fs::read_to_string(pids).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    let deadline = Instant::now() + Duration::from_secs(60);
    while text.lines().any(is_alive) {
        assert!(
            Instant::now() < deadline,
            "a child of the helper is still alive"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_answer_counts_without_the_daemon_that_the_helper_started() {
    let home = Home::new();
    // The daemon holds the helper's output open.
    home.helper(
        "daemon",
        "sleep 300 & echo '{\"Username\":\"u\",\"Secret\":\"p\"}'",
    );
    home.write(DOCKER, "{\"credsStore\":\"daemon\"}");
    assert_eq!(home.get("h.example").unwrap(), user("u"));
}

#[test]
fn a_helper_need_not_read_its_input() {
    let home = Home::new();
    home.helper("deaf", "exec 0<&-; exit 0");
    home.write(DOCKER, "{\"credsStore\":\"deaf\"}");
    // More than a pipe holds.
    let long = Credential::basic("u", "x".repeat(1 << 20));
    home.credentials().store(&name("h.example"), &long).unwrap();
    home.helper("deaf", "sleep 1000");
    let credentials = home
        .credentials()
        .with_helper_timeout(Duration::from_millis(500));
    let error = credentials.store(&name("h.example"), &long).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Helper {
                action: "store",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_long_answer_arrives_whole() {
    let home = Home::new();
    home.helper("long", "printf '{\"Username\":\"u\",\"Secret\":\"'; head -c 900000 /dev/zero | tr '\\0' x; echo '\"}'");
    home.write(DOCKER, "{\"credsStore\":\"long\"}");
    assert_eq!(
        home.get("h.example").unwrap(),
        Some(Credential::basic("u", "x".repeat(900_000)))
    );
}
