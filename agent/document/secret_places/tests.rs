use crate::config::parse;
use crate::document::decode::decode;

fn shown(user_data: &str) -> String {
    let parsed = parse(&decode("user data", user_data.as_bytes()).documents);
    assert!(!parsed.problems.is_empty(), "{user_data}");
    parsed.problems.iter().map(|problem| format!("{}\n{problem}\n", problem.render(false))).collect()
}

#[test]
fn a_secret_in_the_wrong_place_or_form_is_not_shown() {
    for line in [
        "proxy: {url: 'http://p:1', user: canary, pass: canary}",
        "ecs: {cluster: x, config: {ECS_ENGINE_AUTHDATA: canary, AWS_ACCES_KEY_ID: canary}}",
        "ecs: {cluster: x, config: {ECS_AUTH_DATA: {r: {auth: canary}}, HTTP_PROXY: canary}}",
        "ecs: {cluster: x, config: {ECS_LOG_OPTS: [splunk, canary]}}",
        "ecs: {cluster: x, config: 'ECS_ENGINE_AUTHDATA=canary'}",
        "ecs: {cluster: x, config: [canary]}",
        "docker: {daemon: '{\"log-opts\": {\"splunk\": \"canary\"}}'}",
        "signal: {wait_handle: aHR0cHM6Ly9oL3canary=}",
    ] {
        let shown = shown(&format!("#ecs-firstrun\n{line}\n"));
        assert!(!shown.contains("canary") && shown.contains("***"), "{shown}");
    }
}

#[test]
fn what_stands_around_our_part_is_not_shown() {
    let ours = "ecs_firstrun:\n  ecs:\n\n    clusterr: blue\n";
    for (before, after) in [
        ("runcmd: [a canary\n", ""),
        ("write_files:\n- content: \"canary\n", ""),
        ("runcmd:\n- a canary: canary: x\n", ""),
        ("runcmd: [a canary, *canary]\n", ""),
        ("runcmd: [!Sub \"canary\"]\n", ""),
        ("", "runcmd: [a canary: {\n"),
        ("", "canary\n"),
    ] {
        let shown = shown(&format!("#cloud-config\n{before}{ours}{after}"));
        assert!(!shown.contains("canary"), "{shown}");
        assert!(!shown.contains("clusterr") || shown.contains("clusterr: blue"), "{shown}");
    }
    let shown = shown(
        "#cloud-config\n{\"runcmd\": [\"canary\"], \"ecs_firstrun\": {\"ecs\": {\"clusterr\": 1}}, \"users\": [\"canary\"]}",
    );
    assert!(
        !shown.contains("canary") && shown.contains("***\"ecs_firstrun\": {\"ecs\": {\"clusterr\": 1}}***"),
        "{shown}"
    );
}

#[test]
fn of_our_part_the_line_that_broke_it_is_shown() {
    let shown =
        shown("#cloud-config\nruncmd: [canary]\necs_firstrun:\n  ecs: {cluster: blue\n  wait: {}\nusers: [canary]\n");
    assert!(!shown.contains("canary") && shown.contains("wait: {}"), "{shown}");
    // Here the line is so broken that our key has no value.
    let shown = self::shown("#cloud-config\nruncmd: [canary]\necs_firstrun: @b\nusers: [canary]\n");
    assert!(!shown.contains("canary") && shown.contains("3 | ecs_firstrun: @b\n"), "{shown}");
}

#[test]
fn a_secret_is_not_shown_wherever_the_mistake_is() {
    for text in [
        // Keys that are the rest of a secret.
        "ecs:\n  cluster: b\n  config: {AWS_SECRET_ACCESS_KEY: a,canary}\n",
        "ecs:\n  cluster: b\n  config: {ECS_LOGLEVEL: info, AWS_SECRET_ACCESS_KEY:canary}\n",
        "ecs:\n  cluster: b\n  config: {ECS_ENGINE_AUTH_DATA=canary}\n",
        "proxy: {url: http://u:a,canary@h:3128}\n",
        "proxy:\n  u:canary@h:1: http://h\n",
        // The value itself is not YAML.
        "proxy:\n  url: http://h:1\n  pass: @canary\n",
        "proxy:\n  url: http://h:1\n  user: a\n  pass: \"canary\n",
        "proxy:\n  url: http://h:1\n  auth:\n    pw: @canary\n",
        "proxy:\n  pass: canary: x\n",
        "proxy:\n  url: \"u:canary\n",
        "proxy:\n  url: u:canary: x@h:1\n",
        "ecs:\n  cluster: b\n  config:\n    HTTP_PROXY: @canary\n",
        "ecs:\n  cluster: b\n  config:\n    MY_KEY: \"canary\n",
        "ecs:\n  cluster: b\n  config: \"ECS_FOO=canary\n",
        "ecs:\n  cluster: b\n  config:\n  - \"ECS_FOO=canary\n",
        "ecs:\n  cluster: b\n  config:\n    ECS_LOG_OPTS: '{\"splunk\":\"canary\"\n",
        "docker:\n  daemon: '{\"auth\":\"canary\"}\n",
        "signal:\n  wait_handle: \"aHR0canary\n",
        // Tabs and indentation below a secret key.
        "ecs:\n  cluster: b\n  config:\n    ECS_ENGINE_AUTH_DATA:\n\t\tr: {auth: canary}\n",
        "ecs:\n  cluster: b\n  config:\n    ECS_ENGINE_AUTH_DATA:\n      r:\n\tauth: canary\n",
        "ecs:\n  cluster: b\n  config:\n    ECS_ENGINE_AUTH_DATA: {\n\"r\": {\"auth\": \"canary\"}\n}\n",
        "ecs:\n  cluster: b\n  config:\n    ECS_ENGINE_AUTH_DATA: |\n      {\"r\":\n  {\"auth\":\"canary\"}}\n",
        // Comments that are the rest of a secret.
        "ecs: {}\nclusterr: 1 # http://u:canary@h\n",
        "ecs:\n  config:\n    AWS_SECRET_ACCESS_KEY: #canary\n",
        "ecs:\n  config:\n    AWS_SECRET_ACCESS_KEY: abc #canary\n    AWS_SECRET_ACCESS_KEY: abc #canary\n",
        // Secrets that are merged away, and keys that can't be keys.
        "ecs: {cluster: b, config: {<<: {AWS_SECRET_ACCESS_KEY: canary}, AWS_SECRET_ACCESS_KEY: x, Y: 1}}\n",
        "proxy: {<<: {url: 'u:canary@h'}, url: 'x'}\n",
        "proxy:\n  url: http://h:1\n  <<: 'http://u:canary@h'\n",
        "proxy:\n  url: {{ proxy_url | default('http://u:canary@h:1') }}\n",
        "ecs: {? {password: canary} : 1}\n",
        // Keys that are misspelt, dropped, or in another place.
        "proxi: {pass: canary}\n",
        "esc: {config: {ECS_ENGINE_AUTHDATA: canary}}\n",
        "ecs: {confg: {ECS_ENGINE_AUTHDATA: canary}}\n",
        "proxy: {url: http://h}\nproxy: {pass: canary, clusterr: x}\n",
        "ecs: {cluster: x}\necs: {config: {ECS_ENGINE_AUTHDATA: canary}}\n",
        "proxy: {url: {host: p, pass: canary}}\n",
        "proxy: [\"http://p:1\", user, canary]\n",
        "docker: {auths: {r: {auth: canary}}}\n",
        "ecs: {cluster: a, ECS_AUTH: {r: {auth: canary}}}\n",
        "ecs: {cluster: a, config: {ECS_LOG_OPTS: {pass: canary, x: 5}}}\n",
        "ecs:\n  config:\n    AWS_SECRET_ACCESS_KEY: Zq7\u{1}canary\n",
        "ecs:\n  config:\n    AWS_SECRET_ACCESS_KEY: {canary\n",
        "ecs:\n  config:\n    AWS_SECRET_ACCESS_KEY: &canary\n",
        "ecs:\n  config:\n    AWS_SECRET_ACCESS_KEY: &canary\n    X: 1\n",
        "proxy:\n  url: http://u:canary\u{1}@h:1\n",
        "proxy: {url: http://u:a}canary@h:3128}\n",
        "proxy:\n  url: http://u:abc #canary@h:3128\n",
        "proxy:\n  url: x # u:canary@h:1\n",
        "ecs:\n  cluster: 'a b' # password: canary\n",
        "proxy:\n  <<: {url: 'u:canary@h:1'}\n  clusterr: 1\n",
        "ecs:\n  cluster: b\n  config:\n    <<: {ECS_ENGINE_AUTH_DATA: {r: {auth: canary}}, X: 1}\n",
        "docker:\n  daemon:\n    http-proxy: u:canary@h:1: x\n",
        "docker:\n  daemon:\n    proxies: {http-proxy: 'dom\\u:canary@h', http-proxy: x}\n",
        "HTTP_PROXY=u:canary@h:1\n",
        "ecs: {cluster: 'u:canary@h'}\n",
        "signal: {stack: 'u:canary@h', resource: A}\n",
    ] {
        let parsed = parse(&decode("user data", format!("#ecs-firstrun\n{text}").as_bytes()).documents);
        let shown: String =
            parsed.problems.iter().map(|problem| format!("{}\n{problem}\n", problem.render(false))).collect();
        assert!(!parsed.problems.is_empty() && !shown.contains("canary"), "{text}: {shown}");
    }
}

#[test]
fn what_is_no_secret_is_shown_beside_a_mistake() {
    for (text, line) in [
        ("ecs:\n  attributes: {owner: jane@example.com, team: 'a!'}\n", "{owner: jane@example.com, team: 'a!'}"),
        ("ecs: {clusterr: blue}\n", "ecs: {clusterr: blue}"),
        ("esc: {cluster: blue} # mail jane@example.com\n", "esc: {cluster: blue} # mail jane@example.com"),
        ("docker: {daemon: {debug: yes}, datarot: /x}\n", "docker: {daemon: {debug: yes}, datarot: /x}"),
        ("logs: {retention_days: 31, group: 'a@b'}\n", "logs: {retention_days: 31, group: 'a@b'}"),
        (
            "ecs:\n  cluster: b\n  config: {ECS_LOGLEVEL: debug, ECS_LOGLEVEL: info}\n",
            "config: {ECS_LOGLEVEL: debug, ECS_LOGLEVEL: info}",
        ),
        ("ecs:\n  cluster: ops@shop.test # ours\n", "cluster: ops@shop.test # ours"),
        ("proxy:\n  url: 'http//p' # squid\n", "url: 'http//p' # squid"),
        ("logs: {files: [{path: \"a@b]\n", "logs: {files: [{path: \"a@b]"),
        ("ecs:\n  tags: {mail: a@b, x: [}\n", "tags: {mail: a@b, x: [}"),
    ] {
        let shown = shown(&format!("#ecs-firstrun\n{text}"));
        assert!(shown.contains(line), "{text}: {shown}");
    }
}
