//! Questions for the C library or `getent`, which answer one after another: some threads ask them at once.

use std::collections::VecDeque;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{AT_ONCE, Asking, Clock, Found, Missing, Question, system};

/// How often the progress is renewed.
const TICK: Duration = Duration::from_millis(250);

/// The C library needs more than the least on the stack.
const STACK: usize = 1 << 19;

type Jobs = Arc<Mutex<VecDeque<Vec<Question>>>>;

/// What a thread tells: each question with its answer, and how long they took.
type Told = (Vec<(Question, Found)>, Duration);

/// Answers what was sent on to the C library or `getent`. Threads that are not done in time are left to themselves.
pub(super) fn ask<F: FnMut(&Question, Found) -> Option<Question>>(
    asking: &mut Asking<'_, F>,
    clock: &mut Clock,
) {
    let jobs = Jobs::default();
    let (sender, answers) = channel();
    let (mut left, mut threads) = (Vec::new(), 0_usize);
    while !(asking.others.is_empty() && left.is_empty()) {
        let questions: Vec<Question> = asking.others.drain(..).collect();
        left.extend(questions.iter().cloned());
        let waiting = {
            let mut jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
            jobs.extend(system::jobs(questions));
            jobs.len()
        };
        for _ in 0..waiting.min(AT_ONCE.saturating_sub(threads)) {
            threads += usize::from(start(&jobs, &sender, clock.deadline));
        }
        clock.progress.show(left.len());
        if clock.is_over() || threads == 0 {
            break;
        }
        let pause = TICK.min(clock.deadline.saturating_duration_since(Instant::now()));
        let Ok((told, took)) = answers.recv_timeout(pause) else { continue };
        if told.is_empty() {
            threads -= 1; // this one has found nothing more to do
        }
        for (question, found) in told {
            left.retain(|asked| *asked != question);
            clock.progress.step();
            match found {
                Err(Missing::NoAnswer) => clock.missed(took),
                _ => clock.heard(),
            }
            asking.answered(&question, found);
        }
    }
    for question in left {
        clock.missed(super::LONG);
        asking.answered(&question, Err(Missing::NoAnswer));
    }
}

/// Starts a thread that does one job after another until none is left; false where there can be no more threads.
fn start(jobs: &Jobs, sender: &Sender<Told>, deadline: Instant) -> bool {
    let (jobs, sender) = (Arc::clone(jobs), sender.clone());
    let work = move || {
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let is_last = job.is_none();
            let begin = Instant::now();
            let told = job.map_or_else(Vec::new, |job| system::ask(job, deadline));
            if sender.send((told, begin.elapsed())).is_err() || is_last {
                return;
            }
        }
    };
    std::thread::Builder::new().stack_size(STACK).spawn(work).is_ok()
}
