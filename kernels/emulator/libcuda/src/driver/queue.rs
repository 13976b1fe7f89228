//! When streams do what they were given. A device decides that by itself, as events and waits allow; here it is
//! a setting, so that a program can be run in the orders that a device might choose.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Command, Driver, Host};
use crate::status::{Failure, Outcome, Status};

/// As [`crate::Order`] has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    AtOnce,
    Late,
    CopiesFirst,
}

/// What pinned memory held when a copy from it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    digest: u64,
    host_writes: u64,
}

impl Held {
    fn of(bytes: &[u8], host_writes: u64) -> Self {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        Self {
            digest: hasher.finish(),
            host_writes,
        }
    }

    /// That it holds the same when it is copied, unless work of streams has written host memory since.
    pub(crate) fn check(&self, bytes: &[u8], host_writes: u64) -> Outcome {
        if self.host_writes != host_writes || self.digest == Self::of(bytes, 0).digest {
            return Ok(());
        }
        let text = format!(
            "{} bytes of pinned memory were written between the call that copies them and the copy",
            bytes.len()
        );
        Err(Failure::new(Status::InvalidValue, text))
    }
}

impl Driver {
    /// Gives a command to a stream, or records it if the stream is being captured.
    pub(crate) fn submit(
        &mut self,
        stream: usize,
        mut command: Command,
        host: &dyn Host,
    ) -> Outcome {
        if let Some(capture) = self.capture(stream)? {
            if let Command::Record { event, .. } = command {
                let event = self.events.get_mut(&event).ok_or(Status::InvalidHandle)?;
                event.capture = Some(capture.origin);
            }
            if let Some(recording) = self.recordings.get_mut(&capture.origin) {
                recording.commands.push(command);
            }
            return Ok(());
        }
        let mut waits = false;
        match &mut command {
            Command::Record { event, ticket } => {
                let event = self.events.get_mut(event).ok_or(Status::InvalidHandle)?;
                self.tickets += 1;
                *ticket = self.tickets;
                (event.ticket, event.at, event.capture) = (*ticket, None, None);
            }
            Command::Upload {
                to,
                from,
                bytes,
                held,
            } => {
                let pinned = host.is_pinned(*from, *bytes);
                if pinned || self.settings.order != Order::AtOnce {
                    let mut data = vec![0; *bytes];
                    host.read(*from, &mut data);
                    if pinned {
                        *held = Some(Held::of(&data, self.host_writes));
                    } else {
                        command = Command::Staged { to: *to, data };
                    }
                }
            }
            // The driver cannot write such memory behind the program's back.
            Command::Download { to, bytes, .. } => waits = !host.is_pinned(*to, *bytes),
            _ => {}
        }
        self.note("asked", stream, &command);
        let queue = self.streams.get_mut(&stream);
        let queue = &mut queue.ok_or(Status::InvalidHandle)?.queue;
        queue.push_back(command);
        if waits {
            self.finish(stream, host)?;
        }
        self.settle(host)
    }

    /// Does what the order of things wants done without being waited for.
    fn settle(&mut self, host: &dyn Host) -> Outcome {
        while let Some(stream) = self.eager() {
            self.advance(stream, host)?;
        }
        Ok(())
    }

    /// A stream whose next command is due.
    fn eager(&self) -> Option<usize> {
        let due = |stream: &super::Stream| {
            let waits = matches!(stream.queue.front(), Some(Command::Wait(ticket)) if self.holder(*ticket).is_some());
            let launches = |command: &Command| matches!(command, Command::Launch { .. });
            !stream.queue.is_empty()
                && match self.settings.order {
                    Order::AtOnce => !waits,
                    Order::Late => false,
                    Order::CopiesFirst => !waits && !stream.queue.iter().any(launches),
                }
        };
        let streams = self.streams.iter().filter(|(_, stream)| due(stream));
        streams.map(|(handle, _)| *handle).min()
    }

    /// Does all that a stream was given.
    pub(crate) fn finish(&mut self, stream: usize, host: &dyn Host) -> Outcome {
        while self.advance(stream, host)?.is_some() {}
        self.settle(host)
    }

    /// Does all that any stream was given.
    pub(crate) fn finish_all(&mut self, host: &dyn Host) -> Outcome {
        let mut streams: Vec<usize> = self.streams.keys().copied().collect();
        streams.sort_unstable();
        let outcomes = streams.iter().map(|stream| self.finish(*stream, host));
        outcomes.collect()
    }

    /// Does what comes before the last record of an event; whether all of it was done already.
    pub(crate) fn reach(&mut self, event: usize, host: &dyn Host) -> Outcome<bool> {
        let event = self.events.get(&event).ok_or(Status::InvalidHandle)?;
        let ticket = event.ticket;
        let already = self.holder(ticket).is_none();
        self.reach_ticket(ticket, host)?;
        self.settle(host)?;
        Ok(already)
    }

    /// Whether a stream has done all that it was given.
    pub(crate) fn is_idle_stream(&self, stream: usize) -> bool {
        let stream = self.streams.get(&stream);
        stream.is_none_or(|stream| stream.queue.is_empty())
    }

    fn reach_ticket(&mut self, ticket: u64, host: &dyn Host) -> Outcome {
        while let Some(stream) = self.holder(ticket) {
            self.advance(stream, host)?;
        }
        Ok(())
    }

    /// Does the next command of a stream, after what it waits for; `None` where there is none.
    fn advance(&mut self, stream: usize, host: &dyn Host) -> Outcome<Option<()>> {
        let front = |driver: &Self| driver.streams.get(&stream)?.queue.front().cloned();
        if let Some(Command::Wait(ticket)) = front(self) {
            self.reach_ticket(ticket, host)?;
        }
        let Some(found) = self.streams.get_mut(&stream) else {
            return Ok(None);
        };
        let Some(command) = found.queue.pop_front() else {
            return Ok(None);
        };
        let over = found.destroyed && found.queue.is_empty();
        self.note("done", stream, &command);
        if over {
            self.streams.remove(&stream);
        }
        self.execute(command, host).map(Some)
    }

    /// The stream that has still to come to a record.
    pub(super) fn holder(&self, ticket: u64) -> Option<usize> {
        let holds = |command: &Command| matches!(command, Command::Record { ticket: of, .. } if *of == ticket);
        let mut streams = self.streams.iter();
        streams
            .find(|(_, stream)| stream.queue.iter().any(holds))
            .map(|(handle, _)| *handle)
    }

    /// That no copy to or from host memory is still to come.
    pub(crate) fn check_unused(&self, address: usize, bytes: usize) -> Outcome {
        let within = |place: &usize| (address..address + bytes).contains(place);
        let uses = |command: &Command| match command {
            Command::Upload { from, .. } => within(from),
            Command::Download { to, .. } => within(to),
            _ => false,
        };
        let mut streams = self.streams.values();
        let Some(stream) = streams.find(|stream| stream.queue.iter().any(uses)) else {
            return Ok(());
        };
        let text = format!(
            "{bytes} bytes of pinned memory are freed while stream {} has still to copy to or from them",
            stream.number
        );
        Err(Failure::new(Status::InvalidValue, text))
    }

    /// Writes a line of the journal.
    fn note(&mut self, what: &str, stream: usize, command: &Command) {
        let number = self.streams.get(&stream).map_or(0, |stream| stream.number);
        let words = match command {
            Command::Launch { function, .. } => {
                let function = self.functions.get(function);
                format!("launch {}", function.map_or("", |function| &function.name))
            }
            Command::Upload { bytes, held, .. } => {
                let pinned = if held.is_some() { " pinned" } else { "" };
                format!("upload {bytes}{pinned}")
            }
            Command::Staged { data, .. } => format!("upload {}", data.len()),
            Command::Download { bytes, .. } => format!("download {bytes}"),
            Command::Copy { bytes, .. } => format!("copy {bytes}"),
            Command::Fill { unit, count, .. } => format!("fill {}", unit.len() * count),
            Command::Record { .. } => "record".to_owned(),
            Command::Wait(_) => "wait".to_owned(),
            Command::Call(..) => "call".to_owned(),
            Command::Free(_) => "free".to_owned(),
        };
        if let Some(journal) = &mut self.journal {
            journal.push(format!("{what} {number} {words}"));
        }
    }
}
