//! A user who presses Ctrl-C while a batch is submitted, waited for or downloaded.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use fanfold::model::summary::Summary;

use super::csv;
use super::world::World;

const INTERRUPTS: u32 = 30;
const ROWS: usize = 500;
const SIGINT: i32 = 2;

/// Starts the command, interrupts it at this moment, and returns what it left and how long it took to end.
fn interrupted(world: &World, folder: &Path, arguments: &[&str], moment: Duration) -> (Output, Duration) {
    let mut command = world.process(folder, arguments);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(moment); // any moment will do
    #[allow(clippy::disallowed_methods, reason = "what is tested is how long a process takes")]
    let now = Instant::now;
    let pressed = now();
    // The process may have ended by itself.
    let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).stderr(Stdio::null()).status().unwrap();
    (child.wait_with_output().unwrap(), now() - pressed)
}

/// Checks that what is in a folder is whole.
fn check_outputs(folder: &Path) {
    let Ok(found) = std::fs::read_dir(folder) else {
        return;
    };
    for path in found.map(|entry| entry.unwrap().path()) {
        let text = std::fs::read_to_string(&path).unwrap();
        match path.file_name().unwrap().to_str().unwrap() {
            "results.csv" => assert_eq!(text.lines().count(), ROWS + 1),
            "summary.json" => assert_eq!(serde_json::from_str::<Summary>(&text).unwrap().records.total, ROWS as u64),
            name => panic!("{name} was left"),
        }
    }
}

#[tokio::test]
async fn an_interrupt_ends_the_command_and_the_batch_goes_on() {
    let world = World::open().await;
    let (mut gone_on, mut slowest) = (0, Duration::ZERO);
    for n in 0..INTERRUPTS {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("interrupted.csv"), csv(ROWS, &format!("interrupted{n}-"))).unwrap();
        let submit = ["submit", "interrupted.csv", "--wait", "--output", "out", "--pipeline", "chunked"];
        let (done, took) = interrupted(&world, folder.path(), &submit, Duration::from_millis(u64::from(20 + 30 * n)));
        let said = String::from_utf8(done.stderr).unwrap();
        check_outputs(&folder.path().join("out"));
        slowest = slowest.max(took);
        match done.status.code() {
            Some(0) => continue, // it had ended by itself
            Some(130) => {}
            // It came before the command listened, and so before it did anything.
            None if done.status.signal() == Some(SIGINT) && said.is_empty() => continue,
            code => panic!("{code:?}: {said}"),
        }
        let Some(again) = said.split('`').find(|part| part.contains("--wait")) else {
            assert!(said.contains("interrupted before the upload had ended"), "{said}");
            continue;
        };
        gone_on += 1;
        let again: Vec<&str> = again.split(' ').skip(1).collect();
        let done = world.process(folder.path(), &again).output().unwrap();
        assert_eq!(done.status.code(), Some(0), "{again:?} {}", String::from_utf8_lossy(&done.stderr));
        assert!(folder.path().join("out/summary.json").is_file());
        check_outputs(&folder.path().join("out"));
    }
    assert!(gone_on > 0, "no interrupt came while a batch ran");
    assert!(slowest < Duration::from_secs(5), "an interrupt took {slowest:?}"); // of a busy machine; alone it is a tenth of one
}
