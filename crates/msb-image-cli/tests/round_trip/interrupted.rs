//! A closed pipe and an interrupt.

use super::*;

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let registry = DockerRegistry::start(RegistryOptions::default()).unwrap();
    let reference = push(&registry);
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path();
    ok(&run(cache, [&["pull", &reference][..], &PLATFORM].concat()));
    for args in [&["cat", &reference, "/etc/motd"][..], &["tree", &reference]] {
        let mut command = command(cache);
        command.args(args).args(PLATFORM);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command.stdout(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(stderr(&output), "");
    }
}

#[test]
fn an_interrupt_ends_with_130_and_the_next_pull_is_whole() {
    let registry = DockerRegistry::start(RegistryOptions::default()).unwrap();
    let reference = push(&registry);
    let folder = tempfile::tempdir().unwrap();
    // A registry that sends no response.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let hanging = format!("{}/test:v1", silent.local_addr().unwrap());
    let child = command(folder.path())
        .args(["pull", &reference, &hanging])
        .args(PLATFORM)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut connection, _): (TcpStream, _) = silent.accept().unwrap();
    assert!(connection.read(&mut [0; 64]).unwrap() > 0);
    let start = Instant::now();
    let kill = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    assert!(start.elapsed() < Duration::from_secs(3));
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(stderr(&output).ends_with("error: interrupted\n"));
    // The first image was pulled.
    assert!(stdout(&output).starts_with(&format!("{reference} pulled")));
    let _ = connection.write_all(b"");
    ok(&run(folder.path(), ["verify", "--full"]));
}
