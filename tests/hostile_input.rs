//! Inputs that were made to make readers slow or large, each read within bounds. Fuzzing and thought have found them.

use ecs_firstrun::config::summary;
use ecs_firstrun::document::problem;
use ecs_firstrun::instance::Instance;
use ecs_firstrun::plan::plan;
use ecs_firstrun::preview::{Changes, Preview};
use ecs_firstrun::report::Report;
use ecs_firstrun::run::documents;
use ecs_firstrun::text::Paint;
use ecs_firstrun::validate::check;

use crate::support::bounds::{Counting, MEMORY, TIME, least};
use crate::support::gzip;

#[global_allocator]
static ALLOCATOR: Counting<{ usize::MAX }> = Counting;

/// By how much a build without optimisations may be slower. The slowest of these takes 0.3 s, on a slower machine 0.5; what
/// they are against took minutes. The fuzz targets, with optimisations, are held to the bound itself.
const UNOPTIMISED: u32 = 20;

fn within_bounds<T>(name: &str, read: impl Fn() -> T) -> T {
    let most = if cfg!(debug_assertions) { TIME * UNOPTIMISED } else { TIME };
    let (read, cost) = least(most, read);
    assert!(cost.time <= most && cost.memory <= MEMORY, "{name}: {cost:?}");
    read
}

#[test]
fn whom_to_tell_is_known_however_many_mistakes_there_are() {
    let files: String = (0..400).map(|n| format!("    - {{path: /a/{n}, timestamp-format: x}}\n")).collect();
    let text = format!(
        "#ecs-firstrun\nlogs:\n  files:\n{files}signal: {{stack: web, resource: Instances}}\nproxy: {{url: http://h:1}}\n"
    );
    let parsed = documents("user data", text.as_bytes());
    assert!(parsed.config.signal.is_some() && parsed.config.proxy.is_some());
    let said: Vec<_> = parsed.problems.iter().map(|problem| problem.message.as_str()).collect();
    let (last, others) = said.split_last().unwrap();
    assert!(last.contains("there are more problems") && others.len() > 10, "{said:?}");
    assert!(others.iter().all(|message| message.contains("timestamp-format")), "{said:?}");
    assert!(summary(&parsed.problems).contains("timestamp-format"));
}

/// Reads user data as a run does and as `validate` does, and gives the problems found.
fn read(name: &str, bytes: &[u8]) -> Vec<String> {
    let found = within_bounds(name, || {
        let parsed = documents("user data", bytes);
        let plan = plan(&parsed.config, &Instance::example());
        Preview { plan: &plan, foresights: None, changes: Changes::Left }.render(Paint::Plain);
        parsed.problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    });
    within_bounds(name, || check("user-data", bytes).errors.iter().for_each(|problem| drop(problem.render(true))));
    assert!(found.len() <= problem::MOST + 1, "{name}: {} problems", found.len());
    found
}

/// Texts after the first line, with what the first problem says.
fn texts() -> Vec<(&'static str, String, &'static str)> {
    let list = |item: &dyn Fn(usize) -> String, count| (0..count).map(item).collect::<Vec<_>>().join(", ");
    let bracket = "sig02\", resource: Instancese\nc}s: {cluster: production}\n#ecs-firstrun\n";
    let nested: String = (0..62).map(|level| format!("&a{level} [")).collect();
    vec![
        ("one key again and again", format!("{{{}}}", "a: 1,".repeat(4000)), "given twice"),
        ("one key again and again, in lines", "a: 1\n".repeat(4000), "given twice"),
        ("many unknown keys", format!("{{{}}}", list(&|n| format!("k{n}: 1"), 4000)), "unknown key"),
        ("brackets that don't fit", bracket.repeat(900), ""),
        ("URLs within a URL", format!("proxy: {{url: \"{}\"}}", "://".repeat(60_000)), "proxy.url"),
        ("queries within a query", format!("proxy: {{url: \"{}\"}}", "://?".repeat(60_000)), "proxy.url"),
        (
            "many mistakes in a long line",
            format!("{{{}? {} : 1}}", "a: 1, ".repeat(2000), "x".repeat(200_000)),
            "given twice",
        ),
        (
            "mistakes behind much that is right",
            format!(
                "logs: {{files: [{}, {}]}}",
                list(&|n| format!("{{path: /{}{n}}}", "x".repeat(60)), 2000),
                list(&|n| format!("{{path: a{n}}}"), 200)
            ),
            "not an absolute path",
        ),
        ("a long key", format!("signal:\n  ? {}\n  : 1", "k".repeat(250_000)), "unknown key"),
        ("a long variable", format!("ecs: {{cluster: a, config: {{ECS_{}: 1}}}}", "K".repeat(250_000)), "no variable"),
        ("a long value of an enum", format!("logs: {{agent: {}}}", "k".repeat(250_000)), "logs.agent"),
        (
            "a long text at each alias",
            format!("{{a: &a {}, b: [{}]}}", "x".repeat(100_000), list(&|_| "*a".into(), 4000)),
            "",
        ),
        (
            "a list at each alias",
            format!("{{a: &a [{}], b: [{}]}}", list(&|_| "1".into(), 4000), list(&|_| "*a".into(), 5000)),
            "",
        ),
        ("a long text in nested anchors", format!("a: {nested}{}{}", "x".repeat(250_000), "]".repeat(62)), ""),
        (
            "many values in nested anchors",
            format!("a: {nested}{}{}", list(&|_| "x".repeat(20), 9800), "]".repeat(62)),
            "",
        ),
        (
            "many wrong values",
            format!("proxy: {{url: http://h, no_proxy: [{}]}}", list(&|_| "a b".into(), 9000)),
            "NO_PROXY",
        ),
        (
            "one log file again and again",
            format!("logs: {{files: [{}]}}", list(&|_| "{path: /a}".into(), 3000)),
            "listed twice",
        ),
        ("many log files", format!("logs: {{files: [{}]}}", list(&|n| format!("{{path: /a/{n}}}"), 3000)), "none"),
        (
            "one volume again and again",
            format!("storage: [{}]", list(&|_| "{device: /dev/sdb, mount: /a}".into(), 1200)),
            "already uses",
        ),
    ]
}

#[test]
fn no_text_is_read_for_long() {
    for (name, text, said) in texts() {
        let text = format!("#ecs-firstrun\n{text}\n");
        for bytes in [text.as_bytes(), &gzip(&text)] {
            let problems = read(name, bytes);
            assert!(said != "none" || problems.is_empty(), "{name}: {problems:?}");
            assert!(
                ["", "none"].contains(&said) || problems.iter().any(|problem| problem.contains(said)),
                "{name}: {problems:?}"
            );
        }
    }
}

#[test]
fn the_parts_of_a_message_are_not_read_for_ever() {
    let message = |part: &[u8]| {
        let part = [b"--b\nContent-Type: application/gzip\n\n", &gzip(part)[..], b"\n"].concat();
        gzip([b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n", &part.repeat(99)[..]].concat())
    };
    let right = format!("#ecs-firstrun\necs: {{cluster: a}}\n#{}\n", "x".repeat(200_000));
    for part in [&right[..], &right.replace("#ecs", "#!/bin/sh\n"), &"x".repeat(1_000_000)] {
        let problems = read("bombs", &message(part.as_bytes()));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("longer than 1 MiB in total"), "{problems:?}");
    }
}

#[test]
fn a_document_of_ours_may_not_be_endless() {
    let endless = format!("#ecs-firstrun\necs: {{cluster: a}}\n{}", "# x\n".repeat(100_000));
    let json = format!("{{\"ecs_firstrun\": {{\"ecs\": {{\"cluster\": \"a\"}}}},{}\n}}", " ".repeat(400_000));
    for text in [&endless, &endless.replace("#ecs-firstrun\necs", "#cloud-config\necs_firstrun"), &json] {
        let problems = read("endless", &gzip(text));
        assert!(problems.len() == 1 && problems[0].contains("longer than 256 KiB"), "{problems:?}");
    }
}

#[test]
fn a_report_with_many_steps_is_shown() {
    let mut report = Report::begin();
    let step = r#"{"name": "x", "outcome": "success", "start_ms": 1, "duration_ms": 1, "actions": []}"#;
    report.steps = vec![serde_json::from_str(step).unwrap(); 25_000];
    within_bounds("text", || report.render(Paint::Plain));
    within_bounds("picture", || report.svg());
}

#[test]
fn what_is_far_too_long_is_no_report_and_no_facts() {
    let report = serde_json::to_string(&Report::begin()).unwrap();
    assert!(Report::parse(&report).is_ok());
    assert!(Report::parse(&(report + &" ".repeat(1 << 20))).unwrap_err().contains("longer than"));
    // Docker's settings are written with each level of theirs indented.
    let settings = format!("{}{}[0]{}", "[".repeat(100), "[0],".repeat(18_000), "]".repeat(100));
    let facts = |settings: &str| {
        let mut facts = serde_json::to_value(Instance::example()).unwrap();
        facts["image"]["daemon_json"] =
            serde_json::json!({ "a": serde_json::from_str::<serde_json::Value>(settings).unwrap() });
        facts.to_string()
    };
    let text = facts(&settings);
    let planned = |text: &str| {
        within_bounds("facts", || {
            let instance = Instance::parse(text.as_bytes())?;
            let parsed = documents("user data", b"#ecs-firstrun\ndocker: {daemon: {debug: true}}\n");
            let plan = plan(&parsed.config, &instance);
            Ok::<_, String>(serde_json::to_string_pretty(&plan).unwrap().len())
        })
    };
    assert!(planned(&text).unwrap_err().contains("longer than 64 KiB"));
    assert!(planned(&facts(&settings.replacen("[0],", "", 8_000))).is_ok());
}
