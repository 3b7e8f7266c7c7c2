use super::*;

const THERE: &str =
    "Signal with ID i-0a1b for resource Fleet already exists.  Signals may only be updated with a FAILURE status.";

fn json(code: &str, message: &str) -> Vec<u8> {
    format!(r#"{{"Error":{{"Code":"{code}","Message":"{message}","Type":"Sender"}},"RequestId":"1"}}"#).into_bytes()
}

fn xml(code: &str, message: &str) -> Vec<u8> {
    format!(
        "<ErrorResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\">\n  <Error>\n    <Type>Sender</Type>\n    \
         <Code>{code}</Code>\n    <Message>{message}</Message>\n  </Error>\n</ErrorResponse>"
    )
    .into_bytes()
}

fn kind(outcome: &Attempt) -> &'static str {
    match outcome {
        Attempt::Accepted => "accepted",
        Attempt::Over(Over::AlreadyThere, _) => "already there",
        Attempt::Over(Over::NotWaitedFor, _) => "not waited for",
        Attempt::Over(Over::TooLate, _) => "too late",
        Attempt::Refused(_) => "refused",
        Attempt::Again { .. } => "again",
    }
}

#[test]
fn answers_are_told_apart() {
    use Method::{Iam, InstanceIdentity, LifecycleHook, WaitHandle};
    let over = "Stack arn:aws:cloudformation:… is in CREATE_COMPLETE state and cannot be signaled";
    let gone = "Stack 'x' does not exist";
    let page = b"<!DOCTYPE HTML><HTML><body>Blocked</body></HTML>".to_vec();
    for (method, status, body, expected) in [
        (InstanceIdentity, 200, Vec::new(), "accepted"),
        (InstanceIdentity, 200, b"{}".to_vec(), "accepted"),
        (InstanceIdentity, 200, page.clone(), "again"),
        (WaitHandle, 200, page.clone(), "again"),
        (InstanceIdentity, 200, b"<html>Log in</html>".to_vec(), "again"),
        (InstanceIdentity, 200, b"<!doctype html>Log in".to_vec(), "again"),
        // A page that quotes an error is no answer of AWS, nor is an error in the wrong place.
        (Iam, 403, [page.clone(), xml("AccessDenied", "no")].concat(), "again"),
        (Iam, 403, b"<Code>AccessDenied</Code>".to_vec(), "again"),
        (InstanceIdentity, 302, Vec::new(), "again"),
        (InstanceIdentity, 403, page.clone(), "again"),
        (InstanceIdentity, 407, Vec::new(), "again"),
        (InstanceIdentity, 400, json("ValidationError", over), "not waited for"),
        (Iam, 400, xml("ValidationError", over), "not waited for"),
        (InstanceIdentity, 400, json("ValidationError", THERE), "already there"),
        (Iam, 400, xml("ValidationError", THERE), "already there"),
        // The same words about another thing, from another service or with another code mean a refusal.
        (Iam, 400, xml("ValidationError", "Export web-Port already exists"), "refused"),
        (LifecycleHook, 400, xml("ValidationError", THERE), "refused"),
        (Iam, 400, xml("AlreadyExistsException", THERE), "refused"),
        (InstanceIdentity, 400, json("ValidationError", gone), "refused"),
        (Iam, 400, xml("ValidationError", gone), "refused"),
        (InstanceIdentity, 400, json("Throttling", "Rate exceeded"), "again"),
        (Iam, 400, xml("Throttling", "Rate exceeded"), "again"),
        (InstanceIdentity, 503, json("ServiceUnavailable", ""), "again"),
        (InstanceIdentity, 500, json("InternalFailure", ""), "again"),
        (InstanceIdentity, 403, json("AccessDenied", "no"), "refused"),
        (Iam, 403, xml("AccessDenied", "no"), "refused"),
        (InstanceIdentity, 403, json("InvalidClientTokenId", "no"), "refused"),
        (Iam, 403, xml("InvalidClientTokenId", "no"), "again"),
        (Iam, 403, xml("SignatureDoesNotMatch", "no"), "refused"),
        (Iam, 403, xml("SignatureDoesNotMatch", "Signature expired: …"), "again"),
        (WaitHandle, 403, xml("AccessDenied", "Request has expired"), "refused"),
        (WaitHandle, 404, xml("NoSuchBucket", ""), "again"),
        (WaitHandle, 503, xml("SlowDown", ""), "again"),
        (
            LifecycleHook,
            400,
            xml("ValidationError", "No active Lifecycle Action found with instance ID i-1"),
            "not waited for",
        ),
        // Each service has its own words for a signal that is not waited for.
        (LifecycleHook, 400, xml("ValidationError", over), "refused"),
        (Iam, 400, xml("ValidationError", "No active Lifecycle Action found with instance ID i-1"), "refused"),
        (LifecycleHook, 400, xml("ValidationError", "no such group"), "refused"),
        (LifecycleHook, 403, xml("AccessDenied", "no"), "refused"),
        (LifecycleHook, 403, xml("ExpiredToken", "no"), "again"),
        (LifecycleHook, 400, xml("ScalingActivityInProgress", ""), "again"),
        (LifecycleHook, 500, xml("ResourceContention", ""), "again"),
        (LifecycleHook, 200, page.clone(), "again"),
    ] {
        let outcome = judge(method, status, None, &body);
        let shown = String::from_utf8_lossy(&body);
        assert_eq!(kind(&outcome), expected, "{method:?} {status} {shown}: {outcome:?}");
    }
}

const STATES: [(&str, &[&str]); 2] = [
    (
        "not waited for",
        &[
            "CREATE_COMPLETE",
            "UPDATE_COMPLETE",
            "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
            "IMPORT_COMPLETE",
            "IMPORT_IN_PROGRESS",
            "REVIEW_IN_PROGRESS",
        ],
    ),
    (
        "too late",
        &[
            "CREATE_FAILED",
            "ROLLBACK_IN_PROGRESS",
            "ROLLBACK_FAILED",
            "ROLLBACK_COMPLETE",
            "DELETE_IN_PROGRESS",
            "DELETE_FAILED",
            "DELETE_COMPLETE",
            "UPDATE_FAILED",
            "UPDATE_ROLLBACK_IN_PROGRESS",
            "UPDATE_ROLLBACK_FAILED",
            "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
            "UPDATE_ROLLBACK_COMPLETE",
            "IMPORT_ROLLBACK_IN_PROGRESS",
            "IMPORT_ROLLBACK_FAILED",
            "IMPORT_ROLLBACK_COMPLETE",
        ],
    ),
];

#[test]
fn a_stack_that_came_to_nothing_is_told_from_one_that_is_done() {
    for (expected, states) in STATES {
        for state in states {
            // The name of a stack does not tell its state.
            for stack in ["shop", "arn:aws:cloudformation:eu-west-1:1:stack/DELETE-ROLLBACK-FAILED/5f"] {
                let text = format!("Stack {stack} is in {state} state and cannot be signaled");
                for (method, body) in [
                    (Method::InstanceIdentity, json("ValidationError", &text)),
                    (Method::Iam, xml("ValidationError", &text)),
                ] {
                    let outcome = judge(method, 400, None, &body);
                    assert_eq!(kind(&outcome), expected, "{text}");
                    assert!(matches!(&outcome, Attempt::Over(_, told) if *told == text), "{outcome:?}");
                }
            }
        }
    }
}

#[test]
fn each_refusal_has_its_own_remedy() {
    use Method::{Iam, InstanceIdentity, LifecycleHook, WaitHandle};
    for (method, code, message, remedy) in [
        (InstanceIdentity, "ValidationError", "Stack 'x' does not exist", "check signal.stack, signal.resource and"),
        (Iam, "ValidationError", "Stack 'x' does not exist", "check signal.stack, signal.resource and"),
        (Iam, "ValidationError", "no", "check that signal.resource is a logical ID"),
        (Iam, "AccessDenied", "no", "must permit cloudformation:SignalResource"),
        (InstanceIdentity, "ValidationError", "no", "the instance must belong to signal.stack"),
        (InstanceIdentity, "AccessDenied", "no", "the instance must belong to signal.stack"),
        (Iam, "SignatureDoesNotMatch", "no", "the secret key must belong to the access key"),
        (LifecycleHook, "IncompleteSignature", "no", "no proxy may change the request's headers"),
        (WaitHandle, "AccessDenied", "Access Denied", "the policy of the VPC endpoint for S3 must allow s3:PutObject"),
        (WaitHandle, "AccessDenied", "Request has expired", "create the stack again"),
        (WaitHandle, "ExpiredToken", "The provided token has expired.", "create the stack again"),
        (
            WaitHandle,
            "AccessDenied",
            "Query-string authentication requires the Signature",
            "cut short: give the complete URL",
        ),
        (
            WaitHandle,
            "AuthorizationQueryParametersError",
            "Query-string authentication version 4 requires the X-Amz-Date parameter",
            "cut short: give the complete URL",
        ),
        (WaitHandle, "SignatureDoesNotMatch", "no", "the URL was changed on its way"),
        (WaitHandle, "InvalidAccessKeyId", "no", "the URL was changed on its way"),
        (WaitHandle, "MalformedXML", "no", "must be complete, and it expires"),
        (LifecycleHook, "ValidationError", "no", "check signal.lifecycle_hook"),
        (
            LifecycleHook,
            "AccessDenied",
            "no",
            "permit autoscaling:CompleteLifecycleAction and autoscaling:RecordLifecycleActionHeartbeat",
        ),
    ] {
        let Attempt::Refused(refusal) = judge(method, 400, None, &xml(code, message)) else {
            panic!("{method:?} {code} {message}: it is not refused");
        };
        let text = refusal.to_string();
        assert!(text.starts_with(&format!("{code}: {message} (")) && text.contains(remedy), "{method:?}: {text}");
    }
}

#[test]
fn a_denial_has_the_remedy_of_the_policy_that_it_names_whatever_was_asked_for() {
    use Method::{Iam, InstanceIdentity, LifecycleHook, WaitHandle};
    for (named, remedy) in [
        ("with an explicit deny in a service control policy", "remove the deny from a service control policy"),
        ("because no VPC endpoint policy allows the x:Y action", "allow the action in the policy of the VPC endpoint"),
        ("because no permissions boundary allows the x:Y action", "allow the action in the permissions boundary"),
        ("because no session policy allows the x:Y action", "allow the action in the session policy"),
        ("because no resource control policy allows the x:Y action", "allow the action in a resource control policy"),
        ("with an explicit deny in an identity-based policy", "remove the deny from a policy of the instance's role"),
    ] {
        let message = format!("User: arn:aws:sts::1:assumed-role/r/i-2 is not authorized to perform: x:Y {named}");
        for method in [InstanceIdentity, Iam, LifecycleHook, WaitHandle] {
            let Attempt::Refused(refusal) = judge(method, 403, None, &xml("AccessDenied", &message)) else {
                panic!("{method:?} {message}: it is not refused");
            };
            assert!(refusal.remedy.starts_with(remedy), "{method:?}: {refusal}");
        }
    }
}

#[test]
fn a_bucket_that_is_not_there_is_tried_again_and_explained() {
    let outcome = judge(Method::WaitHandle, 404, None, &xml("NoSuchBucket", "The specified bucket does not exist"));
    let Attempt::Again { why, .. } = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("does not exist (the host of the URL must be"), "{why}");
}

#[test]
fn a_refusal_carries_the_message_and_a_remedy() {
    let outcome = judge(Method::Iam, 403, None, &xml("AccessDenied", "User &quot;a&amp;lt;b&quot; may not"));
    let expected =
        "AccessDenied: User \"a&lt;b\" may not (the instance's role must permit cloudformation:SignalResource)";
    let Attempt::Refused(refusal) = outcome else { panic!("{outcome:?}") };
    assert_eq!(refusal.to_string(), expected);
    let secret = judge(Method::WaitHandle, 403, None, &xml("AccessDenied", "https://b/h?Signature=secret expired"));
    assert!(!format!("{secret:?}").contains("secret"), "{secret:?}");
}
