//! Storing and erasing credentials.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::thread;

use msb_credentials::{Credential, Error, Origin};
use proptest::prelude::*;

use crate::support::{DOCKER, Home, SECRET, mode, name, siblings, whole};

/// A helper that keeps what it is given in files beside itself.
const KEEPER: &str = r#"
dir=$(dirname "$0")/kept; mkdir -p "$dir"
case $1 in
store) cat > "$dir/new"; url=$(sed 's/.*"ServerURL":"\([^"]*\)".*/\1/' "$dir/new"); mv "$dir/new" "$dir/$(echo $url | tr / _)" ;;
get) read -r url || true; cat "$dir/$(echo $url | tr / _)" 2>/dev/null || { echo 'credentials not found in native keychain'; exit 1; } ;;
erase) read -r url || true; rm "$dir/$(echo $url | tr / _)" 2>/dev/null || { echo "there is no $url"; exit 1; } ;;
esac"#;

fn user() -> Credential {
    Credential::basic("alice", "p:1")
}

fn read(home: &Home, name: &str) -> String {
    std::fs::read_to_string(home.path(name)).unwrap()
}

#[test]
fn a_new_file_is_private_and_has_dockers_form() {
    let home = Home::new();
    let origin = home
        .credentials()
        .store(&name("h.example:5000"), &user())
        .unwrap();
    assert!(matches!(origin, Origin::File { path, .. } if path == home.path(DOCKER)));
    let expected = "{\n\t\"auths\": {\n\t\t\"h.example:5000\": {\n\t\t\t\"auth\": \"YWxpY2U6cDox\"\n\t\t}\n\t}\n}";
    assert_eq!(read(&home, DOCKER), expected);
    assert_eq!(mode(&home.path(DOCKER)), 0o600);
    assert_eq!(mode(&home.path(".docker")), 0o700);
    assert_eq!(siblings(&home.path(DOCKER)), ["config.json"]);
    assert_eq!(home.get("h.example:5000").unwrap(), Some(user()));
}

#[test]
fn each_form_of_credential_is_stored_and_found_again() {
    let credentials = [
        user(),
        Credential::basic("", "token-alone"),
        Credential::basic("_json_key", "{\n \"key\": \"a\\nb\"\n}\n"),
        Credential::basic("ü\"\\", "\u{1}\u{7f}é"),
        Credential::identity_token("i\"d"),
        Credential::bearer("b\\t"),
    ];
    let home = Home::new();
    // Each replaces the one before: nothing of an old form may count more than the new one.
    for credential in credentials.iter().chain(credentials.iter().rev()) {
        home.credentials()
            .store(&name("h.example"), credential)
            .unwrap();
        assert_eq!(home.get("h.example").unwrap().as_ref(), Some(credential));
    }
    assert_eq!(read(&home, DOCKER).matches("h.example").count(), 1);
}

#[test]
fn every_other_byte_of_the_file_stays() {
    let old = "\n {\"psFormat\" : \"a\\u0062\",\t\"big\":1.50e+3, \"n\": 12345678901234567890123,\n\"dup\":1,\"dup\":2,
 \"auths\" : { \"a.example\":{\"auth\":\"x\", \"email\": null}, \"h.example\" :{ \"email\":\"e@x\", \"auth\":\"old\",\"identitytoken\":\"old\" } ,\"b\":7 },
 \"HttpHeaders\":{ } }\n\n";
    let new = "{\"psFormat\" : \"a\\u0062\",\t\"big\":1.50e+3, \"n\": 12345678901234567890123,\n\"dup\":1,\"dup\":2,
 \"auths\" : { \"a.example\":{\"auth\":\"x\", \"email\": null}, \"h.example\" :{ \"email\":\"e@x\", \"auth\": \"YWxpY2U6cDox\" } ,\"b\":7 },
 \"HttpHeaders\":{ } }";
    let home = Home::new();
    home.write(DOCKER, old);
    home.credentials()
        .store(&name("h.example"), &user())
        .unwrap();
    assert_eq!(read(&home, DOCKER), new);

    let origins = home.credentials().erase(&name("h.example")).unwrap();
    assert_eq!(origins.len(), 1);
    let start = new.find(", \"h.example\"").unwrap();
    let end = new.find(" ,\"b\"").unwrap();
    assert_eq!(
        read(&home, DOCKER),
        format!("{}{}", &new[..start], &new[end..])
    );
}

#[test]
fn docker_hub_is_stored_under_the_only_key_that_docker_reads() {
    let home = Home::new();
    home.write(
        DOCKER,
        "{\"auths\":{\"docker.io\":{\"auth\":\"b2xkOnA=\"},\"docker.io/team\":{\"auth\":\"dGVhbTpw\"},\"x.example\":{}}}",
    );
    home.credentials()
        .store(&name("docker.io"), &user())
        .unwrap();
    let text = read(&home, DOCKER);
    assert!(text.contains("\"https://index.docker.io/v1/\""), "{text}");
    // The old one would hide the new one from us and from podman.
    assert!(!text.contains("b2xkOnA="), "{text}");
    assert!(
        text.contains("docker.io/team") && text.contains("x.example"),
        "{text}"
    );
    assert_eq!(home.get("registry-1.docker.io").unwrap(), Some(user()));
    assert_eq!(
        home.credentials()
            .erase(&name("index.docker.io"))
            .unwrap()
            .len(),
        1
    );
    assert_eq!(home.get("docker.io").unwrap(), None);
    assert!(read(&home, DOCKER).contains("docker.io/team"));
}

#[test]
fn logging_out_twice_changes_nothing() {
    let home = Home::new();
    assert!(
        home.credentials()
            .erase(&name("h.example"))
            .unwrap()
            .is_empty()
    );
    assert!(!home.path(".docker").exists());
    let text = "{\"auths\":{\"a\":{}}, \"credHelpers\":null}";
    home.write(DOCKER, text);
    assert!(
        home.credentials()
            .erase(&name("h.example"))
            .unwrap()
            .is_empty()
    );
    assert_eq!(read(&home, DOCKER), text);
}

#[test]
fn a_link_is_followed_and_its_target_replaced() {
    let home = Home::new();
    home.write("dotfiles/real.json", "{\"x\":1}");
    std::fs::create_dir_all(home.path(".docker")).unwrap();
    symlink("../dotfiles/link.json", home.path(DOCKER)).unwrap();
    symlink("real.json", home.path("dotfiles/link.json")).unwrap();
    home.credentials()
        .store(&name("h.example"), &user())
        .unwrap();
    assert!(
        std::fs::symlink_metadata(home.path(DOCKER))
            .unwrap()
            .is_symlink()
    );
    assert!(read(&home, "dotfiles/real.json").starts_with("{\"x\":1,\"auths\": {"));
    assert_eq!(
        siblings(&home.path("dotfiles/real.json")),
        ["link.json", "real.json"]
    );

    // A link to nothing yet.
    std::fs::remove_file(home.path("dotfiles/real.json")).unwrap();
    home.credentials()
        .store(&name("h.example"), &user())
        .unwrap();
    assert!(home.path("dotfiles/real.json").is_file());
    assert_eq!(home.get("h.example").unwrap(), Some(user()));

    std::fs::remove_file(home.path(DOCKER)).unwrap();
    symlink("config.json", home.path(DOCKER)).unwrap();
    let error = home
        .credentials()
        .store(&name("h.example"), &user())
        .unwrap_err();
    assert!(whole(&error).contains("config.json"), "{error}");
}

#[test]
fn an_open_file_becomes_private() {
    let home = Home::new();
    let path = home.write(DOCKER, "{}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    home.credentials()
        .store(&name("h.example"), &user())
        .unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn logins_at_the_same_time_are_all_kept() {
    let home = Home::new();
    let registries: Vec<String> = (0..16).map(|number| format!("h{number}.example")).collect();
    thread::scope(|scope| {
        for registry in &registries {
            let credentials = home.credentials();
            scope.spawn(move || credentials.store(&name(registry), &user()).unwrap());
        }
    });
    for registry in &registries {
        assert_eq!(home.get(registry).unwrap(), Some(user()), "{registry}");
    }
}

#[test]
fn a_configured_helper_keeps_the_credentials_and_the_file_none() {
    let home = Home::new();
    home.helper("keeper", KEEPER);
    let config = "{\"credsStore\":\"keeper\",\"auths\":{\"h.example\":{\"auth\":\"b2xkOnA=\"}}}";
    home.write(DOCKER, config);
    for credential in [user(), Credential::identity_token("t")] {
        let origin = home
            .credentials()
            .store(&name("h.example"), &credential)
            .unwrap();
        assert!(matches!(origin, Origin::Helper { .. }));
        assert_eq!(home.get("h.example").unwrap(), Some(credential));
    }
    assert_eq!(
        read(&home, DOCKER),
        "{\"credsStore\":\"keeper\",\"auths\":{}}"
    );
    home.credentials()
        .store(&name("docker.io"), &user())
        .unwrap();
    assert!(home.path("bin/kept/https:__index.docker.io_v1_").exists());

    let error = home
        .credentials()
        .store(&name("h.example"), &Credential::bearer(SECRET))
        .unwrap_err();
    assert!(whole(&error).contains("bearer"), "{error}");
    for registry in ["h.example", "docker.io"] {
        assert_eq!(home.credentials().erase(&name(registry)).unwrap().len(), 1);
        assert_eq!(home.get(registry).unwrap(), None);
        assert!(
            home.credentials()
                .erase(&name(registry))
                .unwrap()
                .is_empty()
        );
    }
}

#[test]
fn a_helper_that_cannot_store_or_erase_is_named() {
    let home = Home::new();
    home.write(DOCKER, "{\"credHelpers\":{\"h.example\":\"bad\"}}");
    // Repeats its input.
    home.helper("bad", "tr -d '{}\"'; exit 1");
    let error = home
        .credentials()
        .store(&name("h.example"), &Credential::basic("u", SECRET))
        .unwrap_err();
    let message = whole(&error);
    assert!(
        message.contains("docker-credential-bad cannot store the credentials for h.example"),
        "{message}"
    );
    home.helper(
        "bad",
        "[ $1 = erase ] && { echo locked; exit 1; }; echo '{\"Username\":\"u\",\"Secret\":\"p\"}'",
    );
    let message = whole(&home.credentials().erase(&name("h.example")).unwrap_err());
    assert!(
        message.contains("cannot erase") && message.contains("locked"),
        "{message}"
    );
}

#[test]
fn what_could_not_be_read_back_is_not_stored() {
    let home = Home::new();
    let cases = [
        Credential::basic("a:b", SECRET),
        Credential::basic(SECRET, ""),
        Credential::identity_token(""),
        Credential::bearer(""),
    ];
    for credential in cases {
        let error = home
            .credentials()
            .store(&name("h.example"), &credential)
            .unwrap_err();
        assert!(matches!(error, Error::Unstorable { .. }), "{error}");
        whole(&error);
    }
    assert!(!home.path(DOCKER).exists());
}

#[test]
fn a_malformed_file_is_left_alone() {
    for text in ["{\"auths\":{\"h.example\":", "[]", "{} {}", "\u{feff}{}"] {
        let home = Home::new();
        home.write(DOCKER, text);
        let error = home
            .credentials()
            .store(&name("h.example"), &user())
            .unwrap_err();
        assert!(error.is_corrupt(), "{text}: {error}");
        assert!(home.credentials().erase(&name("h.example")).is_err());
        assert_eq!(read(&home, DOCKER), text);
        assert_eq!(siblings(&home.path(DOCKER)), ["config.json"]);
    }
    let home = Home::new();
    std::fs::create_dir_all(home.path(DOCKER)).unwrap();
    let error = home
        .credentials()
        .store(&name("h.example"), &user())
        .unwrap_err();
    assert!(whole(&error).contains("directory"), "{error}");
    // Odd values where the entry goes are replaced.
    for text in [
        "{\"auths\":null}",
        "{\"auths\":[]}",
        "{\"auths\":{\"h.example\":7}}",
        " ",
    ] {
        let home = Home::new();
        home.write(DOCKER, text);
        home.credentials()
            .store(&name("h.example"), &user())
            .unwrap();
        assert_eq!(home.get("h.example").unwrap(), Some(user()), "{text}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_named_and_stays() {
    let home = Home::new();
    home.write(".docker", "a file in the place of the directory");
    let error = home
        .credentials()
        .store(&name("h.example"), &user())
        .unwrap_err();
    assert!(whole(&error).contains("config.json"), "{error}");
    let error = home
        .credentials()
        .get(&name("h.example"), None)
        .unwrap_err();
    assert!(whole(&error).contains("config.json"), "{error}");
    let nowhere = msb_credentials::DockerCredentials::from_vars(|_| None);
    let error = nowhere.store(&name("h.example"), &user()).unwrap_err();
    assert!(matches!(error, Error::NoPlace), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a file holds: a login is found again, a logout removes it, and every other member keeps its value.
    #[test]
    fn a_login_and_a_logout_keep_the_rest(
        others in proptest::collection::btree_map("[a-z]{1,8}\\.(com|io)(/[a-z]{1,4})?", "[ -~]{0,12}", 0..6),
        members in proptest::collection::vec(("[a-zA-Z]{1,6}", any::<i64>()), 0..4),
        password in "\\PC{1,20}",
        pretty in any::<bool>(),
    ) {
        let mut config = serde_json::json!({"auths": {}});
        for (key, value) in &others {
            config["auths"][key] = serde_json::json!({"email": value});
        }
        for (key, value) in &members {
            if key != "auths" {
                config[key] = serde_json::json!([value]);
            }
        }
        let text = if pretty { serde_json::to_string_pretty(&config) } else { serde_json::to_string(&config) };
        let home = Home::new();
        home.write(DOCKER, &text.unwrap());
        let credential = Credential::basic("u", password);
        home.credentials().store(&name("new.example"), &credential).unwrap();
        prop_assert_eq!(home.get("new.example").unwrap(), Some(credential));
        home.credentials().erase(&name("new.example")).unwrap();
        let after: serde_json::Value = serde_json::from_str(&read(&home, DOCKER)).unwrap();
        prop_assert_eq!(after, config);
    }
}
