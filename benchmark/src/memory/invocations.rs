//! A stage in invocations of limited time, each a process of its own. Some are killed on their way, and the next one goes
//! on with what they left.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use fanfold::model::error::{Error, Result};

use super::on_disk;
use super::stage::ChildReport;

/// The most invocations of a stage before it is said not to end.
const MOST: u32 = 10_000;

/// How long invocations may take, and how many of a stage are killed.
#[derive(Debug, Clone, Copy)]
pub struct Invocations {
    /// Seconds that each may take.
    pub limit: u32,
    /// How many of them are killed, at any time.
    pub kills: u32,
}

/// What became of an invocation.
enum Ended {
    Told(Box<ChildReport>),
    Killed,
}

impl Invocations {
    /// Runs a stage to its end, given what starts an invocation by its number; returns what its invocations told together,
    /// and how many they were.
    ///
    /// # Errors
    /// `Internal` if an invocation fails, or the stage does not end.
    pub fn run(&self, mut start: impl FnMut(u32) -> Command) -> Result<(ChildReport, u32)> {
        let mut kills = self.kills;
        let mut sum = ChildReport::default();
        for number in 1..=MOST {
            // At times spread over that of an invocation.
            let share = 0.2 + 0.7 * (f64::from(number) * 0.618_034).fract();
            let within = (kills > 0).then(|| Duration::from_secs_f64(f64::from(self.limit) * share));
            match invoke(start(number), within)? {
                Ended::Killed => {
                    kills -= 1;
                    eprintln!("  invocation {number}: killed");
                }
                Ended::Told(told) => {
                    sum = ChildReport {
                        peak_kib: sum.peak_kib.max(told.peak_kib),
                        seconds: sum.seconds + told.seconds,
                        ..*told
                    };
                    let (peak, seconds) = (told.peak_kib as f64 / 1024.0, told.seconds);
                    eprintln!("  invocation {number}: {peak:.1} MiB, {seconds:.1} s");
                    if told.wait_seconds.is_none() {
                        return Ok((sum, number));
                    }
                    // A killed function's lease ends by the clock alone.
                    std::thread::sleep(Duration::from_secs(u64::from(told.wait_seconds.unwrap_or_default())));
                }
            }
        }
        Err(Error::internal(format!("a stage did not end within {MOST} invocations")))
    }
}

/// Runs an invocation, and kills it after that time.
fn invoke(mut command: Command, within: Option<Duration>) -> Result<Ended> {
    let broken = |e: std::io::Error| Error::internal("a process cannot be started").because(e);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().map_err(broken)?;
    let mut stdout = child.stdout.take().ok_or_else(|| Error::internal("a process without output"))?;
    let (sender, told) = channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = sender.send(stdout.read_to_end(&mut text).map(|_| text));
    });
    let text = match within {
        Some(within) => told.recv_timeout(within),
        None => told.recv().map_err(|_| RecvTimeoutError::Disconnected),
    };
    match text {
        Err(RecvTimeoutError::Timeout) => {
            child.kill().map_err(broken)?;
            child.wait().map_err(broken)?;
            Ok(Ended::Killed)
        }
        Err(RecvTimeoutError::Disconnected) => Err(Error::internal("a process told nothing")),
        Ok(text) => ended(&mut child, &text.map_err(broken)?),
    }
}

fn ended(child: &mut Child, text: &[u8]) -> Result<Ended> {
    let status = child.wait().map_err(|e| Error::internal("a process was lost").because(e))?;
    if !status.success() {
        return Err(Error::internal(format!("an invocation failed: {status}")));
    }
    let told = serde_json::from_slice(text).map_err(|e| Error::internal("an invocation told nothing").because(e))?;
    Ok(Ended::Told(Box::new(told)))
}

/// Checks that the results of a CSV file have its rows, each once and in their order.
///
/// # Errors
/// `Internal` with the first row that differs.
pub fn compare(input: &Path, results: &Path) -> Result<()> {
    let open = |path: &Path| Ok::<_, Error>(BufReader::new(File::open(path).map_err(on_disk(path))?));
    let (mut rows, mut told) = (open(input)?, open(results)?);
    let (mut row, mut outcome, mut number) = (Vec::new(), Vec::new(), 0_u64);
    loop {
        row.clear();
        outcome.clear();
        rows.read_until(b'\n', &mut row).map_err(on_disk(input))?;
        told.read_until(b'\n', &mut outcome).map_err(on_disk(results))?;
        number += 1;
        let text = row.strip_suffix(b"\n").unwrap_or(&row);
        match outcome.strip_prefix(text) {
            Some([]) if row.is_empty() => return Ok(()),
            Some([b',', ..]) => {}
            _ => return Err(Error::internal(format!("row {number} of the results is not that of the input"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, text: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("fanfold-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn results_have_each_row_once_and_in_order() {
        let input = written("input", "k,a\n1,x\n2,y\n");
        for (results, right) in [
            ("k,a,success,message\n1,x,true,\n2,y,false,no\n", true),
            ("k,a,success,message\n1,x,true,\n", false),
            ("k,a,success,message\n1,x,true,\n1,x,true,\n2,y,false,no\n", false),
            ("k,a,success,message\n1,x,true,\n2,y,false,no\n2,y,false,no\n", false),
            ("k,a,success,message\n2,y,false,no\n1,x,true,\n", false),
        ] {
            let results = written("results", results);
            assert_eq!(compare(&input, &results).is_ok(), right);
            std::fs::remove_file(results).unwrap();
        }
        std::fs::remove_file(input).unwrap();
    }

    #[test]
    fn what_is_killed_tells_nothing_and_what_fails_is_told() {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        };
        assert!(matches!(invoke(shell("exec sleep 60"), Some(Duration::from_millis(50))), Ok(Ended::Killed)));
        assert!(invoke(shell("exit 3"), None).err().unwrap().to_string().contains("exit status: 3"));
        let runs = Invocations { limit: 60, kills: 0 };
        let told = |number: u32| {
            let wait = if number < 3 { "0" } else { "null" };
            shell(&format!(
                r#"echo '{{"peakKib":{number},"seconds":1,"chunkBytes":0,"messages":7,"items":0,"waitSeconds":{wait}}}'"#
            ))
        };
        let (sum, invocations) = runs.run(told).unwrap();
        assert_eq!((sum.peak_kib, sum.seconds, sum.messages, invocations), (3, 3.0, 7, 3));
    }
}
