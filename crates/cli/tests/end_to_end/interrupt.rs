//! A user who presses Ctrl-C while a batch is submitted, waited for or downloaded.

use std::collections::BTreeMap;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use fanfold::model::summary::Summary;

use super::csv;
use super::world::World;

/// As many as fit into the tests; `FANFOLD_INTERRUPTS` asks for more, at moments from `FANFOLD_INTERRUPT_SEED`.
const INTERRUPTS: u64 = 30;
/// When a command has ended by itself, on a machine that is not busy.
const LAST_MOMENT: u64 = 500;
const ROWS: usize = 500;
const SIGINT: i32 = 2;

/// Starts the command, interrupts it at this moment, and returns what it left and how long it took to end.
fn interrupted(world: &World, folder: &Path, arguments: &[&str], moment: Duration) -> (Output, Duration) {
    let mut command = world.process(folder, arguments);
    let child = command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(moment); // any moment will do
    #[allow(clippy::disallowed_methods, reason = "what is tested is how long a process takes")]
    let now = Instant::now;
    let pressed = now();
    // The process may have ended by itself. It is alone in its group, as in a terminal.
    let group = format!("-{}", child.id());
    let _ = Command::new("kill").args(["-INT", "--", &group]).stderr(Stdio::null()).status().unwrap();
    (child.wait_with_output().unwrap(), now() - pressed)
}

/// What a command was doing when it was interrupted, by what it said.
fn ending_of(said: &str) -> &'static str {
    let endings = ["before the upload had ended", "while the upload ended", "goes on"];
    endings.into_iter().find(|ending| said.contains(ending)).unwrap_or("nothing said, or ended by itself")
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
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
    let (mut gone_on, mut slowest, mut seen) = (0, Duration::ZERO, BTreeMap::<_, (u32, Duration)>::new());
    let (count, seed) = (number("FANFOLD_INTERRUPTS", INTERRUPTS), number("FANFOLD_INTERRUPT_SEED", 1));
    let mut chance = fastrand::Rng::with_seed(seed);
    for n in 0..count {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("interrupted.csv"), csv(ROWS, &format!("interrupted{n}-"))).unwrap();
        let submit = ["submit", "interrupted.csv", "--wait", "--output", "out", "--pipeline", "chunked"];
        let (done, took) =
            interrupted(&world, folder.path(), &submit, Duration::from_millis(chance.u64(..LAST_MOMENT)));
        let said = String::from_utf8(done.stderr).unwrap();
        check_outputs(&folder.path().join("out"));
        slowest = slowest.max(took);
        let (times, longest) = seen.entry((ending_of(&said), done.status.to_string())).or_default();
        (*times, *longest) = (*times + 1, took.max(*longest));
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
        let told = String::from_utf8_lossy(&done.stderr);
        if again.contains(&"--key") && told.contains("nothing was uploaded") {
            continue;
        }
        assert_eq!(done.status.code(), Some(0), "{again:?} {told}");
        assert!(folder.path().join("out/summary.json").is_file());
        check_outputs(&folder.path().join("out"));
    }
    println!("interrupts from seed {seed}: {seen:#?}");
    assert!(gone_on > 0, "no interrupt came while a batch ran");
    assert!(slowest < Duration::from_secs(5), "an interrupt took {slowest:?}"); // of a busy machine; alone it is a tenth of one
}
