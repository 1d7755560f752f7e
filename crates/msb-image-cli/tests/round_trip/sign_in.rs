//! Credentials and TLS of the command line.

use super::*;

#[test]
fn credentials_come_from_standard_input_over_tls() {
    let registry = DockerRegistry::start(RegistryOptions {
        basic_auth: Some(("me".into(), "hunter2".into())),
        tls: true,
        ..RegistryOptions::default()
    })
    .unwrap();
    let reference = push(&registry);
    let ca = registry.ca_cert().unwrap();
    let pull = |password: Option<&str>| {
        let cache = tempfile::tempdir().unwrap();
        let mut args = vec!["pull", &reference, "--ca-cert", ca.to_str().unwrap()];
        args.extend(PLATFORM);
        if password.is_some() {
            args.extend(["--username", "me", "--password-stdin"]);
        }
        run_with_input(cache.path(), &args, password.unwrap_or(""))
    };
    ok(&pull(Some("hunter2\n")));
    let hints = [
        (None, "hint: log in with `printf"),
        (Some("hunter3"), "the user name or the password is wrong"),
    ];
    for (given, hint) in hints {
        let refused = pull(given);
        assert_eq!(refused.status.code(), Some(1));
        let text = stderr(&refused);
        assert!(text.contains(hint), "{text}");
        assert!(!text.contains("hunter"), "{text}");
    }
}

#[test]
fn refusals_name_the_option_that_helps() {
    let registry = |tls| {
        DockerRegistry::start(RegistryOptions {
            basic_auth: Some(("me".into(), "hunter2".into())),
            tls,
            ..RegistryOptions::default()
        })
        .unwrap()
    };
    let pull = |reference: &str, more: &[&str]| {
        let cache = tempfile::tempdir().unwrap();
        let sign_in = ["--username", "me", "--password-stdin"];
        let args = [&["pull", reference][..], &PLATFORM, &sign_in, more].concat();
        run_with_input(cache.path(), &args, "hunter2")
    };
    let (plain, tls) = (registry(false), registry(true));

    let reference = format!("{}/a:b", plain.host());
    let text = stderr(&pull(&reference, &[]));
    let hint = format!("allow plain HTTP with `--plain-http {}`", plain.host());
    assert!(
        text.contains("not authorized") && text.contains(&hint),
        "{text}"
    );

    let reference = push(&tls);
    let text = stderr(&pull(&reference, &[]));
    assert!(text.contains("unknown authority"), "{text}");
    assert!(
        text.contains("hint: ") && text.contains("--ca-cert FILE"),
        "{text}"
    );
    assert_eq!(text.matches("caused by").count(), 1, "{text}");

    // An invalid certificate of a bundle is a warning, and the others are used.
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle.pem");
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let good = std::fs::read_to_string(tls.ca_cert().unwrap()).unwrap();
    std::fs::write(&bundle, format!("\u{feff}{damaged}{good}")).unwrap();
    let output = pull(&reference, &["--ca-cert", bundle.to_str().unwrap()]);
    ok(&output);
    let text = stderr(&output);
    let warning = "bundle.pem: certificate 1 (line 1) cannot be used and is skipped";
    assert_eq!(text.matches(warning).count(), 1, "{text}");
}
