//! What the command prints. A reader that has gone away, as in `fanfold … | head`, takes nothing more and is not an
//! error: the command goes on with its work.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use fanfold::model::error::{Error, Result};

/// Prints a line on standard output.
///
/// # Errors
/// `Config` if standard output cannot be written for another reason than that its reader has gone away.
pub fn line(text: impl Display) -> Result<()> {
    print(std::io::stdout().lock(), text)
}

/// Prints a line on standard error, where progress and errors go.
pub fn note(text: impl Display) {
    // There is no place left to say that this failed.
    let _ = print(std::io::stderr().lock(), text);
}

fn print(mut to: impl Write, text: impl Display) -> Result<()> {
    match writeln!(to, "{text}").and_then(|()| to.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::config("could not write to standard output").because(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Refuses(ErrorKind);

    impl Write for Refuses {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_a_reader_that_has_gone_away_is_no_error() {
        assert!(print(Refuses(ErrorKind::BrokenPipe), "x").is_ok());
        assert!(print(Refuses(ErrorKind::StorageFull), "x").is_err());
    }
}
