//! The outcome of a run: decided once, said, kept, told to CloudFormation and Auto Scaling, and reported.

use super::signal::{Waiting, target, target_in_tags};
use super::state::{Decision, Stage};
use super::{Ending, Failure, Provisioned, Run};
use crate::aws::cloudformation::Status;
use crate::config::Config;
use crate::plan::WITHOUT_CONFIGURATION;
use crate::report::{BUG, Outcome};

/// What a run came to.
pub(super) struct Concluded {
    outcome: Outcome,
    /// The outcome and its reason in one line.
    line: String,
    /// The configuration, as far as it is right.
    pub(super) config: Box<Config>,
    /// Who is to be told.
    pub(super) waiting: Waiting,
}

impl Run<'_> {
    /// Decides the outcome and keeps the decision, so that whatever comes then, nothing else is told.
    pub(super) fn conclude(&mut self, result: Result<Result<Provisioned, Failure>, String>) -> Concluded {
        fail_point!("conclude");
        let has_configuration = matches!(result, Ok(Ok(Provisioned::Complete(_))));
        let (outcome, reason, config) = match result {
            Ok(Ok(Provisioned::Complete(config))) => (Outcome::Success, self.what_remains(), config),
            Ok(Ok(Provisioned::Nothing { started: true })) => {
                (Outcome::Success, Some(WITHOUT_CONFIGURATION.to_owned()), Box::default())
            }
            Ok(Ok(Provisioned::Nothing { started: false })) => {
                let what = "there is no ecs-firstrun configuration, but the user data names ecs-firstrun: nothing was \
                            started, nothing is signalled; a script that calls `ecs-firstrun run` goes on from here";
                // Nothing is held back from starting by hand.
                if let Err(error) = self.host.release() {
                    tracing::warn!("Docker and ECS can't be started by hand: {error:#}");
                }
                (Outcome::Success, Some(what.to_owned()), Box::default())
            }
            // Whatever is wrong with it: there is no instance that anybody waits for, or could mend.
            Ok(Ok(Provisioned::Terminating)) => {
                let state = self.gathered.identity.target_lifecycle_state.as_deref().unwrap_or_default();
                let what = format!(
                    "Auto Scaling terminates the instance (its target lifecycle state is {state}): the ECS agent is not \
                     started, nothing is signalled"
                );
                self.host.say_up();
                (Outcome::Success, Some(what), Box::default())
            }
            Ok(Err(failure)) => (failure.outcome, Some(failure.reason), failure.config),
            // A panic: what can be reported is what was known until then, else what can be read of the documents.
            Err(panic) => {
                let known = self.known.clone();
                let known = known.unwrap_or_else(|| Box::new(self.gathered.parse_what_can_be()));
                (Outcome::Failure, Some(bug(&panic)), known)
            }
        };
        let line = self.say(outcome, reason.as_deref());
        self.report.reason = reason.clone();
        self.name_the_stack(&config);
        let status = if outcome == Outcome::Success { Status::Success } else { Status::Failure };
        let waiting = self.waiting(&config, outcome);
        if !waiting.nobody() {
            self.decide(Decision::of(status, reason.unwrap_or_default()));
        } else if has_configuration {
            self.decide(Decision { waited_for: false, ..Decision::of(status, String::new()) });
        }
        fail_point!("decided");
        Concluded { outcome, line, config, waiting }
    }

    /// Ends the run, with its report.
    pub(super) fn close(&mut self, concluded: Concluded, told: Ending) -> Ending {
        let Concluded { outcome, line, waiting, .. } = concluded;
        // Where nothing was to be signalled, the report and the console are told, and that is all that was asked for.
        // What was refused, or could not be read, may have named somebody.
        let unknown = waiting.nobody() && (self.may_have_named_somebody(outcome) || !self.fetched());
        self.report.outcome = outcome;
        self.finish();
        let told_whom: String = self.report.told().map(|told| format!("; {told}")).collect();
        self.host.say_status(&format!("{line}{told_whom}"));
        match (told, outcome) {
            (Ending::Unreported, _) => Ending::Unreported,
            _ if unknown => Ending::Unreported,
            (_, Outcome::Success) => Ending::Done,
            (_, Outcome::Refused) => Ending::Refused,
            _ => Ending::Failed,
        }
    }

    /// Who waits for this outcome. In a warm pool that is the lifecycle hook alone: no stack counts such an instance.
    pub(super) fn waiting(&self, config: &Config, outcome: Outcome) -> Waiting {
        let known = config.signal.as_ref().and_then(target);
        let of_tags = || self.may_have_named_somebody(outcome).then(|| target_in_tags(&self.gathered.identity.tags));
        let target = known.or_else(|| of_tags().flatten()).filter(|_| self.stage == Stage::Service);
        Waiting { target, hook: self.hook(config) }
    }

    /// Tells whether the unread part of the user data may have named a target.
    fn may_have_named_somebody(&self, outcome: Outcome) -> bool {
        outcome == Outcome::Refused || self.known.is_none()
    }

    /// Reports a panic on the console only. The next run sends what was decided.
    pub(super) fn given_up(&mut self, panic: &str) -> Ending {
        let decided = self.decision().filter(|decision| decision.settled.is_none());
        let next = decided.map(|decision| format!("; {} was decided, and the next run sends it", decision.status));
        let reason = format!("{}{}", bug(panic), next.unwrap_or_default());
        self.say(Outcome::Failure, Some(&reason));
        self.report.outcome = Outcome::Failure;
        self.report.reason = Some(reason);
        self.finish();
        Ending::Unreported
    }

    /// What a person should know of a run that went well.
    fn what_remains(&self) -> Option<String> {
        let text = match self.stage {
            Stage::WarmPool => {
                "the instance is ready in its warm pool; when it goes into service, the run goes on, and CloudFormation is told"
            }
            Stage::Service if self.decision().is_some() && self.report.cluster.is_some() => {
                "the host is configured, and the ECS agent is started; its registration is not waited for on this boot"
            }
            Stage::Service => return None,
        };
        Some(text.to_owned())
    }

    /// Nothing is decided: the run was stopped from outside, and the next one goes on where this one was.
    pub(super) fn interrupted(&mut self, why: &str) -> Ending {
        let reason = format!("{why}; nothing was signalled, and the next run continues");
        self.say(Outcome::Interrupted, Some(&reason));
        self.report.outcome = Outcome::Interrupted;
        self.report.reason = Some(reason);
        for step in self.report.steps.iter_mut().filter(|step| step.outcome != Outcome::Success) {
            step.outcome = Outcome::Interrupted;
        }
        self.finish();
        Ending::Unreported
    }

    fn fetched(&self) -> bool {
        self.report.steps.first().is_some_and(|step| step.outcome == Outcome::Success)
    }

    /// The first outcome of an instance is what is told, now or at a later boot.
    fn decide(&mut self, decision: Decision) {
        if self.decision().is_none() && !self.state.instance_id.is_empty() {
            *self.state.decided_mut(self.stage) = Some(decision);
            // What could not be fetched must not be what a later boot goes by.
            if self.fetched() {
                self.state.kept = Some(self.gathered.kept());
            }
            self.state.save(&self.host);
        }
    }

    /// The outcome in one line: in the journal, in the log file, and on the console where it is a failure.
    fn say(&self, outcome: Outcome, reason: Option<&str>) -> String {
        let line = match reason {
            Some(reason) => format!("{}: {reason}", outcome.to_string().to_uppercase()),
            None => outcome.to_string().to_uppercase(),
        };
        self.host.say_status(&line);
        if outcome == Outcome::Success {
            tracing::info!("{line}");
        } else {
            tracing::error!("{line}");
            self.host.say_on_console(&line.replace('\n', " "));
        }
        line
    }
}

/// The reason of a run that ended in a panic.
pub(super) fn bug(panic: &str) -> String {
    format!("{BUG}: {panic}")
}
