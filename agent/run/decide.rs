//! The outcome of a run: decided once, said, and kept.

use super::ended::Ended;
use super::known::Known;
use super::one_run::Run;
use super::panics::reason_of_panic;
use super::recipients::Recipients;
use super::record::Record;
use super::state::{Decision, Stage};
use crate::aws::cloudformation::Status;
use crate::config::Config;
use crate::plan::WITHOUT_CONFIGURATION;
use crate::report::Outcome;

const NOTHING_STARTED: &str = "there is no ecs-firstrun configuration, but the user data names ecs-firstrun: nothing was \
                               started, and no signal is sent; the run goes on when a script calls `ecs-firstrun run`";

/// The outcome of a run, and those who are to be told.
pub(super) struct Conclusion {
    pub(super) outcome: Outcome,
    /// The outcome and its reason in one line.
    pub(super) line: String,
    /// The configuration, as far as it is right.
    pub(super) config: Box<Config>,
    pub(super) recipients: Recipients,
}

/// Decides the outcome and keeps the decision, so that whatever comes then, nothing else is told.
pub(super) fn decide(run: &Run<'_>, record: &mut Record, known: &Known, ended: Ended) -> Conclusion {
    fail_point!("conclude");
    match &ended {
        // Nothing is held back from starting by hand.
        Ended::Nothing { started: false } => {
            if let Err(error) = run.host.release() {
                tracing::warn!("Docker and ECS can't be started by hand: {error:#}");
            }
        }
        Ended::Terminating => run.host.say_up(),
        _ => {}
    }
    let is_complete = matches!(ended, Ended::Complete(_));
    let is_later = record.state.decided(known.stage()).is_some();
    let has_waited = record.report.steps.iter().any(|step| step.name == "wait");
    let joined = record.report.cluster.as_deref().filter(|_| is_later && !has_waited);
    let Judgement { outcome, reason, config } = Judgement::of(ended, known, joined);
    let line = run.say(outcome, reason.as_deref());
    record.report.reason = reason.clone();
    record.name_the_stack(&config, known.identity());
    let named = match outcome == Outcome::Refused || known.config.is_none() {
        true => Recipients::named_in_part,
        false => Recipients::named_by,
    };
    let recipients = named(&config, known.identity(), &record.state.instance_id);
    if let Some(decision) = decision(outcome, reason, !recipients.nobody(), is_complete) {
        keep(run, record, known, decision);
    }
    fail_point!("decided");
    Conclusion { outcome, line, config, recipients }
}

/// The outcome with its reason.
struct Judgement {
    outcome: Outcome,
    reason: Option<String>,
    /// The configuration that may be used to report it.
    config: Box<Config>,
}

impl Judgement {
    /// Judges the end of the work. `joined` is the cluster of a run that did not wait for the registration.
    fn of(ended: Ended, known: &Known, joined: Option<&str>) -> Self {
        let of = |outcome, reason, config| Judgement { outcome, reason, config };
        match ended {
            Ended::Complete(config) => of(Outcome::Success, left_to_do(known.stage(), joined), config),
            Ended::Nothing { started } => {
                let what = if started { WITHOUT_CONFIGURATION } else { NOTHING_STARTED };
                of(Outcome::Success, Some(what.to_owned()), Box::default())
            }
            // Whatever is wrong with it: there is no instance that anybody waits for, or could mend.
            Ended::Terminating => {
                let state = known.identity().target_lifecycle_state.as_deref().unwrap_or_default();
                let what = format!(
                    "Auto Scaling terminates the instance (its target lifecycle state is {state}): the ECS agent is not \
                     started, and no signal is sent"
                );
                of(Outcome::Success, Some(what), Box::default())
            }
            Ended::Refused { reason, config } => of(Outcome::Refused, Some(reason), config),
            Ended::Failed { reason, config } => of(Outcome::Failure, Some(reason), config),
            // What can be reported is what was known until then, else what can be read of the documents.
            Ended::Panicked(panic) => {
                let config = known.config.clone().unwrap_or_else(|| Box::new(known.gathered.parse_what_can_be()));
                of(Outcome::Failure, Some(reason_of_panic(&panic)), config)
            }
        }
    }
}

/// Tells what has still to happen after a run that went well.
fn left_to_do(stage: Stage, joined: Option<&str>) -> Option<String> {
    let text = match (stage, joined) {
        (Stage::WarmPool, _) => {
            "the instance is ready in its warm pool; when it goes into service, the run goes on and signals CloudFormation"
        }
        (Stage::Service, Some(_)) => {
            "the host is configured, and the ECS agent is started; the run does not wait for its registration on this boot"
        }
        (Stage::Service, None) => return None,
    };
    Some(text.to_owned())
}

/// Makes the decision that is kept of an outcome; none where there was neither a configuration nor anybody who waits.
fn decision(outcome: Outcome, reason: Option<String>, is_waited_for: bool, is_complete: bool) -> Option<Decision> {
    let status = if outcome == Outcome::Success { Status::Success } else { Status::Failure };
    match is_waited_for {
        true => Some(Decision::of(status, reason.unwrap_or_default())),
        false => is_complete.then(|| Decision { waited_for: false, ..Decision::of(status, String::new()) }),
    }
}

/// Keeps a decision. The first outcome of an instance is what is told, now or at a later boot.
fn keep(run: &Run<'_>, record: &mut Record, known: &Known, decision: Decision) {
    let is_fetched = record.is_fetched();
    let state = &mut record.state;
    if let Some(first) = state.decided(known.stage()) {
        let recovers = (first.status, decision.status) == (Status::Failure, Status::Success);
        if recovers && known.stage() == Stage::Service && !state.has_recovered {
            state.has_recovered = true;
            state.save(run.host);
        }
        return;
    }
    if state.instance_id.is_empty() {
        return;
    }
    *state.decided_mut(known.stage()) = Some(decision);
    // What could not be fetched must not be what a later boot goes by.
    if is_fetched {
        state.kept = Some(known.gathered.kept());
    }
    state.save(run.host);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Ecs;

    fn configured() -> Box<Config> {
        Box::new(Config { ecs: Some(Ecs::default()), ..Config::default() })
    }

    fn in_state(target_lifecycle_state: &str) -> Known {
        let mut known = Known::default();
        known.gathered.identity.target_lifecycle_state = Some(target_lifecycle_state.to_owned());
        known
    }

    fn reason(ended: Ended, known: &Known, joined: Option<&str>) -> Option<String> {
        Judgement::of(ended, known, joined).reason
    }

    #[test]
    fn only_what_was_refused_failed_or_panicked_is_no_success() {
        let (reason, known) = ("no disk".to_owned(), Known::default());
        for (ended, outcome) in [
            (Ended::Complete(configured()), Outcome::Success),
            (Ended::Nothing { started: true }, Outcome::Success),
            (Ended::Nothing { started: false }, Outcome::Success),
            (Ended::Terminating, Outcome::Success),
            (Ended::Refused { reason: reason.clone(), config: configured() }, Outcome::Refused),
            (Ended::Failed { reason: reason.clone(), config: configured() }, Outcome::Failure),
            (Ended::Panicked(reason.clone()), Outcome::Failure),
        ] {
            assert_eq!(Judgement::of(ended, &known, None).outcome, outcome);
        }
    }

    #[test]
    fn a_success_says_what_is_still_to_come() {
        let complete = || Ended::Complete(configured());
        assert_eq!(reason(complete(), &in_state("InService"), None), None);
        let later = reason(complete(), &in_state("InService"), Some("production")).unwrap();
        assert!(later.contains("does not wait for its registration on this boot"));
        for joined in [None, Some("production")] {
            let warm = reason(complete(), &in_state("Warmed:Stopped"), joined).unwrap();
            assert!(warm.contains("ready in its warm pool"));
        }
        let terminating = reason(Ended::Terminating, &in_state("Terminating:Wait"), None).unwrap();
        assert!(terminating.contains("is Terminating:Wait)"));
    }

    #[test]
    fn a_panic_is_reported_by_the_configuration_that_is_known_else_by_what_can_be_read() {
        let panicked = || Ended::Panicked("index 7".to_owned());
        let mut known = Known::default();
        known.gathered.user_data =
            Some(b"#ecs-firstrun\necs: {cluster: a}\nsignal: {stack: web, resource: R}\n".to_vec());
        let verdict = Judgement::of(panicked(), &known, None);
        assert_eq!(verdict.reason.unwrap(), "a bug in ecs-firstrun: index 7");
        assert!(verdict.config.signal.is_some() && verdict.config.ecs.is_none());
        known.config = Some(configured());
        assert_eq!(Judgement::of(panicked(), &known, None).config, configured());
    }

    #[test]
    fn a_decision_is_kept_for_whoever_waits_and_of_each_configuration_that_holds() {
        let kept = |is_waited_for, is_complete| {
            let decision = decision(Outcome::Failure, Some("no disk".to_owned()), is_waited_for, is_complete)?;
            Some((decision.status, decision.reason, decision.waited_for))
        };
        for is_complete in [true, false] {
            assert_eq!(kept(true, is_complete), Some((Status::Failure, "no disk".to_owned(), true)));
        }
        assert_eq!(kept(false, true), Some((Status::Failure, String::new(), false)));
        assert_eq!(kept(false, false), None);
        let refused = decision(Outcome::Refused, None, true, false).unwrap();
        assert_eq!(
            (refused.status, decision(Outcome::Success, None, true, true).unwrap().status),
            (Status::Failure, Status::Success)
        );
    }
}
