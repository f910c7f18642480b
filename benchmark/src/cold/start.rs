//! One start of the functions' executable, as Lambda would start it.

use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fanfold::model::error::{Error, Result};

use super::lambda::Lambda;
use crate::memory::resident::high_water_mark;

const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// What was observed of a start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Started {
    /// Milliseconds from the start of the process until it asked for work.
    pub milliseconds: f64,
    /// The peak memory up to then, in KiB; 0 if it is not known.
    pub peak_kib: u64,
    /// Requests to AWS that it made before that.
    pub calls: u32,
}

/// The schema of the example.
const SCHEMA: &str = include_str!("../../../examples/orders.schema.json");

/// The settings that Lambda and the deployment give a handler. Each handler gets those of all.
fn environment(handler: &str, variant: &str, address: SocketAddr) -> Vec<(&'static str, String)> {
    let plain = [
        ("AWS_LAMBDA_FUNCTION_NAME", handler),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "benchmark"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "benchmark"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("_HANDLER", handler),
        ("VARIANT", variant),
        ("LEDGER_TABLE", "ledger"),
        ("INPUT_BUCKET", "input"),
        ("WORK_BUCKET", "work"),
        ("OUTPUT_BUCKET", "output"),
        ("ITEMS_TABLE", "items"),
        ("TASKS_TABLE", "tasks"),
        ("KEY_FIELD", "itemNo"),
        ("CHUNK_SIZE", "500"),
        ("RECORD_SCHEMA", SCHEMA),
        ("PROCESSORS", "items"),
        ("PROCESS_TOPIC_ARN", "arn:aws:sns:us-east-1:000000000000:chunks"),
        ("PROCESS_MACHINE_ARN", "arn:aws:states:us-east-1:000000000000:stateMachine:chunks"),
        ("STALL_AFTER", "900"),
        ("GIVE_UP_AFTER", "86400"),
    ];
    let queues = [
        "SOURCE_QUEUE_URL",
        "DEAD_LETTER_QUEUE_URL",
        "SCATTER_QUEUE_URL",
        "PROCESS_QUEUE_URL",
        "GATHER_QUEUE_URL",
        "PARKED_QUEUE_URL",
    ];
    let mut all: Vec<(&str, String)> = plain.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    all.extend(queues.map(|name| (name, format!("http://{address}/000000000000/queue"))));
    all.push(("AWS_ENDPOINT_URL", format!("http://{address}")));
    all.push(("AWS_LAMBDA_RUNTIME_API", address.to_string()));
    all
}

/// Starts an executable, and ends it when it asks for work.
///
/// # Errors
/// `Config` if it does not start, with its output; `Transient` if it asks for nothing.
pub fn measure(path: &Path, handler: &str, variant: &str, lambda: &Lambda) -> Result<Started> {
    lambda.forget();
    let mut command = Command::new(path);
    command.env_clear().envs(environment(handler, variant, lambda.address));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let before = lambda.watch.elapsed();
    let mut child =
        command.spawn().map_err(|e| Error::config(format!("{} cannot be started", path.display())).because(e))?;
    let started = watch(&mut child, before, lambda);
    // The process may have ended by itself; then there is nothing to kill.
    let _ = child.kill();
    let ended = child.wait().map_err(|e| Error::internal("a process cannot be waited for").because(e))?;
    started.ok_or_else(|| {
        let mut said = String::new();
        // Its output is for the user to read; if it cannot be read, there is still the status.
        let _ = child.stdout.take().map(|mut out| out.read_to_string(&mut said));
        let _ = child.stderr.take().map(|mut out| out.read_to_string(&mut said));
        Error::config(format!("{} as {handler} asked for no work ({ended}): {said}", path.display()))
    })
}

fn watch(child: &mut Child, before: Duration, lambda: &Lambda) -> Option<Started> {
    let mut calls = 0;
    while lambda.watch.elapsed() - before < PATIENCE {
        match lambda.request(PAUSE) {
            Some(request) if request.is_for_work() => {
                let milliseconds = (request.after.saturating_sub(before)).as_secs_f64() * 1000.0;
                let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
                return Some(Started { milliseconds, peak_kib: high_water_mark(&status).unwrap_or_default(), calls });
            }
            Some(_) => calls += 1,
            None => {
                if child.try_wait().is_ok_and(|ended| ended.is_some()) {
                    return None;
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfold::pipeline::variant::BUILT_IN;
    use fanfold_lambda::config::Config;

    #[test]
    fn every_handler_of_every_variant_is_set_up() {
        let address: SocketAddr = "127.0.0.1:9001".parse().unwrap();
        for variant in BUILT_IN {
            for handler in ["scatter", "process", "gather", "bury", "sweep"] {
                let all = environment(handler, variant.name, address);
                let read = Config::read(|name| all.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone()));
                assert!(read.is_ok(), "{handler} of {}: {:?}", variant.name, read.err());
            }
        }
    }

    #[test]
    fn an_executable_that_is_none_of_the_functions_is_told() {
        let lambda = Lambda::open().unwrap();
        let told = |path: &str| measure(Path::new(path), "scatter", "chunked", &lambda).unwrap_err().to_string();
        assert!(told("/nowhere/bootstrap").contains("cannot be started"));
        let told = told("/bin/false");
        assert!(told.contains("/bin/false as scatter asked for no work (exit status: 1)"), "{told}");
    }
}
