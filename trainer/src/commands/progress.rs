//! How long work is going, on standard error.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Time between lines where there is no terminal to redraw.
const QUIET: Duration = Duration::from_secs(10);

/// A bar with speed and time left; where standard error is no terminal, a line now and then.
pub(super) struct Progress {
    bar: ProgressBar,
    name: String,
    unit: &'static str,
    /// Units in a step.
    per_step: u64,
    started: Instant,
    first: Option<u64>,
    last_line: Instant,
}

impl Progress {
    /// Progress of `name` over `steps`, of `per_step` units each.
    pub(super) fn new(name: &str, steps: u64, per_step: u64, unit: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr_with_hz(8));
        let style = "{prefix:8} {bar:32} {pos:>6}/{len} {msg}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.set_prefix(name.to_owned());
        let now = Instant::now();
        Self {
            bar,
            name: name.to_owned(),
            unit,
            per_step,
            started: now,
            first: None,
            last_line: now,
        }
    }

    /// `step` steps are done.
    pub(super) fn at(&mut self, step: u64, note: &str) {
        let first = *self.first.get_or_insert(step);
        let seconds = self.started.elapsed().as_secs_f64();
        let done = (step - first) as f64;
        let steps = self.bar.length().unwrap_or(step);
        let text = if done > 0.0 {
            let left = seconds / done * steps.saturating_sub(step) as f64;
            let speed = done * self.per_step as f64 / seconds;
            format!("{speed:.0} {}/s  {} left  {note}", self.unit, clock(left))
        } else {
            note.to_owned()
        };
        if self.bar.is_hidden() {
            if self.last_line.elapsed() > QUIET {
                self.last_line = Instant::now();
                say(&format!("{} {step}/{steps}  {text}", self.name));
            }
        } else {
            self.bar.set_message(text);
            self.bar.set_position(step);
        }
    }

    /// Ends the bar with a last word.
    pub(super) fn finish(self, text: &str) {
        if self.bar.is_hidden() {
            say(&format!("{} {text}", self.name));
        } else {
            self.bar.abandon_with_message(text.to_owned());
        }
    }

    /// Seconds since the start.
    pub(super) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

/// Minutes and seconds.
pub(super) fn clock(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, minutes, seconds) => format!("{minutes}:{seconds:02}"),
        (hours, minutes, seconds) => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// Tells the user something that is not data.
#[expect(clippy::print_stderr, reason = "progress goes to standard error")]
pub(super) fn say(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::clock;

    #[test]
    fn clocks_read_as_people_write_them() {
        assert_eq!(
            (clock(7.4), clock(65.0), clock(3725.0)),
            ("0:07".into(), "1:05".into(), "1:02:05".into())
        );
    }
}
