//! Streams, events, captures and graphs.

use std::collections::VecDeque;
use std::time::Instant;

use super::{Command, Driver, Host};
use crate::status::{Failure, Outcome, Status};

/// A stream: what it was given and has not done yet.
#[derive(Default)]
pub(super) struct Stream {
    pub(super) capture: Option<Capture>,
    pub(super) queue: VecDeque<Command>,
    /// Streams are counted in the order of their creation, from 1 on.
    pub(super) number: usize,
    /// Whether it is there for what is left in its queue.
    pub(super) destroyed: bool,
}

/// A stream that is being captured: into which graph, and whether something forbidden happened.
#[derive(Clone, Copy)]
pub(super) struct Capture {
    /// The stream that the capture began with.
    pub(super) origin: usize,
}

#[derive(Default)]
pub(super) struct Recording {
    pub(super) commands: Vec<Command>,
    invalid: bool,
}

#[derive(Default)]
pub(super) struct Event {
    pub(super) at: Option<Instant>,
    /// Of the last record; none has 0.
    pub(super) ticket: u64,
    /// The capture in which it was recorded last.
    pub(super) capture: Option<usize>,
}

impl Driver {
    pub(crate) fn create_stream(&mut self) -> usize {
        let handle = self.handle();
        self.created += 1;
        let stream = Stream {
            number: self.created,
            ..Stream::default()
        };
        self.streams.insert(handle, stream);
        handle
    }

    /// What it was given is done all the same, at any time.
    pub(crate) fn destroy_stream(&mut self, stream: usize) -> Outcome {
        let mut left = self.streams.remove(&stream).ok_or(Status::InvalidHandle)?;
        if !left.queue.is_empty() {
            left.destroyed = true;
            // Under a handle that nobody knows.
            let handle = self.handle();
            self.streams.insert(handle, left);
        }
        self.recordings.remove(&stream);
        Ok(())
    }

    pub(crate) fn create_event(&mut self) -> usize {
        let handle = self.handle();
        self.events.insert(handle, Event::default());
        handle
    }

    pub(crate) fn destroy_event(&mut self, event: usize) -> Outcome {
        self.events.remove(&event).ok_or(Status::InvalidHandle)?;
        Ok(())
    }

    /// Milliseconds between two events.
    pub(crate) fn elapsed(&self, start: usize, end: usize) -> Outcome<f32> {
        let at = |event| -> Outcome<Instant> {
            let event = self.events.get(&event).ok_or(Status::InvalidHandle)?;
            if self.holder(event.ticket).is_some() {
                return Err(Failure::new(Status::NotReady, "the event is still to come"));
            }
            event
                .at
                .ok_or_else(|| Failure::new(Status::InvalidHandle, "the event was not recorded"))
        };
        let (start, end) = (at(start)?, at(end)?);
        // Events of one stream are ordered; between streams the later may be given first.
        Ok(if end >= start {
            (end - start).as_secs_f32() * 1e3
        } else {
            -(start - end).as_secs_f32() * 1e3
        })
    }

    pub(super) fn capture(&self, stream: usize) -> Outcome<Option<Capture>> {
        let stream = self.streams.get(&stream).ok_or(Status::InvalidHandle)?;
        Ok(stream.capture)
    }

    pub(crate) fn is_capturing(&self, stream: usize) -> Outcome<bool> {
        Ok(self.capture(stream)?.is_some())
    }

    pub(crate) fn begin_capture(&mut self, stream: usize) -> Outcome {
        if stream <= 1 {
            let text = "the default stream cannot be captured";
            return Err(Failure::new(Status::CaptureUnsupported, text));
        }
        if self.capture(stream)?.is_some() {
            return Err(Failure::new(
                Status::IllegalState,
                "the stream is being captured already",
            ));
        }
        self.join(stream, Capture { origin: stream })?;
        self.recordings.insert(stream, Recording::default());
        Ok(())
    }

    fn join(&mut self, stream: usize, capture: Capture) -> Outcome {
        let stream = self.streams.get_mut(&stream);
        stream.ok_or(Status::InvalidHandle)?.capture = Some(capture);
        Ok(())
    }

    /// The graph of what the stream, and streams that waited for it, were given since.
    pub(crate) fn end_capture(&mut self, stream: usize) -> Outcome<usize> {
        self.capture(stream)?;
        let recording = self.recordings.remove(&stream);
        let recording = recording.ok_or_else(|| {
            Failure::new(Status::IllegalState, "no capture began with this stream")
        })?;
        for Stream { capture, .. } in self.streams.values_mut() {
            if capture.is_some_and(|capture| capture.origin == stream) {
                *capture = None;
            }
        }
        if recording.invalid {
            let text = "something that cannot be captured happened during the capture";
            return Err(Failure::new(Status::CaptureInvalidated, text));
        }
        let handle = self.handle();
        self.graphs.insert(handle, recording.commands);
        Ok(handle)
    }

    /// An executable graph is a copy: the graph may be destroyed.
    pub(crate) fn instantiate(&mut self, graph: usize) -> Outcome<usize> {
        let commands = self
            .graphs
            .get(&graph)
            .ok_or(Status::InvalidHandle)?
            .clone();
        let handle = self.handle();
        self.graphs.insert(handle, commands);
        Ok(handle)
    }

    pub(crate) fn destroy_graph(&mut self, graph: usize) -> Outcome {
        self.graphs.remove(&graph).ok_or(Status::InvalidHandle)?;
        Ok(())
    }

    pub(crate) fn launch_graph(&mut self, graph: usize, stream: usize, host: &dyn Host) -> Outcome {
        let commands = self
            .graphs
            .get(&graph)
            .ok_or(Status::InvalidHandle)?
            .clone();
        for command in commands {
            self.submit(stream, command, host)?;
        }
        Ok(())
    }

    /// Does all that a stream, or every stream, was given. Synchronisation is not allowed for a stream that is
    /// being captured, and spoils the capture.
    pub(crate) fn synchronise(&mut self, stream: Option<usize>, host: &dyn Host) -> Outcome {
        let captures: Vec<usize> = match stream {
            Some(stream) => self
                .capture(stream)?
                .map(|c| c.origin)
                .into_iter()
                .collect(),
            None => self.recordings.keys().copied().collect(),
        };
        for origin in &captures {
            if let Some(recording) = self.recordings.get_mut(origin) {
                recording.invalid = true;
            }
        }
        if captures.is_empty() {
            return match stream {
                Some(stream) => self.finish(stream, host),
                None => self.finish_all(host),
            };
        }
        let text = "synchronisation while a stream is being captured";
        Err(Failure::new(Status::CaptureUnsupported, text))
    }

    /// A stream that waits for an event of a capture takes part in the capture from then on.
    pub(crate) fn wait(&mut self, stream: usize, event: usize, host: &dyn Host) -> Outcome {
        let own = self.capture(stream)?;
        let event = self.events.get(&event).ok_or(Status::InvalidHandle)?;
        let (ticket, of_capture) = (event.ticket, event.capture);
        match (
            own,
            of_capture.filter(|origin| self.recordings.contains_key(origin)),
        ) {
            (Some(capture), Some(origin)) if capture.origin != origin => {
                let text = "the stream waits for an event of another capture";
                Err(Failure::new(Status::CaptureUnsupported, text))
            }
            (_, Some(origin)) => self.join(stream, Capture { origin }),
            (Some(_), None) if self.holder(ticket).is_some() => {
                let text = "a stream that is being captured waits for an event from outside";
                Err(Failure::new(Status::CaptureIsolation, text))
            }
            (Some(_), None) => Ok(()),
            (None, None) => self.submit(stream, Command::Wait(ticket), host),
        }
    }
}
