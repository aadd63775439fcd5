package capture

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/Haserjian/assay-ledger/pack/manifest"
)

// ciSystem is a CI system as its environment shows it.
type ciSystem struct {
	name     string // as people say it
	provider string // as ci_binding says it: the words of pack.md §5.5 are fixed
	sign     string // what its environment has
	here     func(env func(string) string) bool
	read     func(env func(string) string) manifest.CIBinding
}

var ciSystems = []ciSystem{
	{"github", "github_actions", "GITHUB_ACTIONS=true", isTrue("GITHUB_ACTIONS"), readGitHub},
	{"gitlab", "gitlab_ci", "GITLAB_CI=true", isTrue("GITLAB_CI"), readGitLab},
	{"circleci", "circleci", "CIRCLECI=true", isTrue("CIRCLECI"), readCircleCI},
	{"jenkins", "jenkins", "JENKINS_URL", isSet("JENKINS_URL"), readJenkins},
	{"local", "local", "ASSAY_CI_COMMIT_SHA", isSet("ASSAY_CI_COMMIT_SHA"), func(func(string) string) manifest.CIBinding { return manifest.CIBinding{} }},
}

func isTrue(name string) func(func(string) string) bool {
	return func(env func(string) string) bool { return env(name) == "true" }
}

func isSet(name string) func(func(string) string) bool {
	return func(env func(string) string) bool { return env(name) != "" }
}

// CISystems are the names that ReadCI knows besides auto and off.
func CISystems() (names []string) {
	for _, system := range ciSystems {
		names = append(names, system.name)
	}
	return names
}

// ReadCI reads from an environment which CI run this is. system is one of CISystems, off, or
// auto for the first whose sign is there. Any of
//
//	ASSAY_CI_COMMIT_SHA ASSAY_CI_REPO ASSAY_CI_REF ASSAY_CI_RUN_ID
//	ASSAY_CI_RUN_ATTEMPT ASSAY_CI_WORKFLOW_REF ASSAY_CI_ACTOR
//
// wins over what the system says, and without a system they make a binding of provider local.
//
// commit_sha is what the system checked out. On GitHub's pull_request events that is the merge of the
// pull request into its base, a commit that is in no branch; who wants to bind the head sets
// ASSAY_CI_COMMIT_SHA to it.
//
// A part that is malformed is left out, and without a commit there is no binding: notes say so. The
// error is that of a system that was named and is not here, or has no commit.
func ReadCI(system string, env func(string) string) (binding *manifest.CIBinding, notes []string, err error) {
	if system == "off" {
		return nil, nil, nil
	}
	for _, s := range ciSystems {
		switch {
		case system == "auto" && s.here(env), system == s.name && s.here(env):
			binding, notes = s.bind(env)
			if binding == nil && system != "auto" {
				return nil, nil, fmt.Errorf("no binding to %s: %s", s.name, notes[0])
			}
			return binding, notes, nil
		case system == s.name:
			return nil, nil, fmt.Errorf("no binding to %s: %s is not set", s.name, s.sign)
		}
	}
	if system != "auto" {
		return nil, nil, fmt.Errorf("CI system %q: expected auto, off, %s", system, strings.Join(CISystems(), ", "))
	}
	return nil, nil, nil
}

func (s ciSystem) bind(env func(string) string) (*manifest.CIBinding, []string) {
	b := s.read(env)
	b.Provider = s.provider
	var notes []string
	given := env("ASSAY_CI_COMMIT_SHA")
	if given != "" {
		b.CommitSHA = given
	} else if event := env("GITHUB_EVENT_NAME"); s.name == "github" && strings.HasPrefix(event, "pull_request") {
		notes = append(notes, fmt.Sprintf("ci_binding has GITHUB_SHA, which for %s is not the head of the pull request; ASSAY_CI_COMMIT_SHA can name that", printable(event)))
	}
	if !isCommit(b.CommitSHA) {
		return nil, []string{fmt.Sprintf("the pack is bound to no CI run: the commit %s is not 40 or 64 lowercase hex digits", printable(b.CommitSHA))}
	}
	for _, part := range []struct {
		name  string
		value *string
	}{
		{"repo", &b.Repo}, {"ref", &b.Ref}, {"run_id", &b.RunID}, {"run_attempt", &b.RunAttempt},
		{"workflow_ref", &b.WorkflowRef}, {"actor", &b.Actor},
	} {
		if given := env("ASSAY_CI_" + strings.ToUpper(part.name)); given != "" {
			*part.value = given
		}
		if !isPrintableLine(*part.value) {
			notes = append(notes, fmt.Sprintf("ci_binding is without %s: it is not at most 512 bytes of printable text", part.name))
			*part.value = ""
		}
	}
	return &b, notes
}

func isCommit(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

// isPrintableLine is printable text: no control characters, nothing that turns the direction of writing.
func isPrintableLine(s string) bool {
	return len(s) <= 512 && utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// printable quotes a value for a note.
func printable(s string) string {
	if len(s) > 80 {
		return fmt.Sprintf("%+q...", s[:80])
	}
	return fmt.Sprintf("%+q", s)
}

func readGitHub(env func(string) string) manifest.CIBinding {
	return manifest.CIBinding{
		CommitSHA: env("GITHUB_SHA"), Repo: env("GITHUB_REPOSITORY"), Ref: env("GITHUB_REF"), RunID: env("GITHUB_RUN_ID"),
		RunAttempt: env("GITHUB_RUN_ATTEMPT"), WorkflowRef: env("GITHUB_WORKFLOW_REF"), Actor: env("GITHUB_ACTOR"),
	}
}

// readGitLab has no number of the attempt: a job that is tried again has another id.
func readGitLab(env func(string) string) manifest.CIBinding {
	b := manifest.CIBinding{
		CommitSHA: env("CI_COMMIT_SHA"), Repo: env("CI_PROJECT_PATH"), RunID: env("CI_PIPELINE_ID"), RunAttempt: env("CI_JOB_ID"),
		Actor: env("GITLAB_USER_LOGIN"),
	}
	b.Ref = firstRef(env("CI_MERGE_REQUEST_REF_PATH"), env("CI_COMMIT_TAG"), env("CI_COMMIT_BRANCH"), env("CI_COMMIT_REF_NAME"))
	// A configuration from elsewhere (a URL, or file@group/project) names its place itself.
	if config := env("CI_CONFIG_PATH"); config != "" && !strings.ContainsAny(config, "@:") && b.Repo != "" && b.Ref != "" {
		b.WorkflowRef = b.Repo + "/" + config + "@" + b.Ref
	} else {
		b.WorkflowRef = config
	}
	return b
}

func readCircleCI(env func(string) string) manifest.CIBinding {
	b := manifest.CIBinding{
		CommitSHA: env("CIRCLE_SHA1"), RunID: env("CIRCLE_WORKFLOW_ID"), RunAttempt: env("CIRCLE_BUILD_NUM"),
		Ref: firstRef("", env("CIRCLE_TAG"), env("CIRCLE_BRANCH"), ""), Actor: env("CIRCLE_USERNAME"),
	}
	if owner, name := env("CIRCLE_PROJECT_USERNAME"), env("CIRCLE_PROJECT_REPONAME"); owner != "" && name != "" {
		b.Repo = owner + "/" + name
	}
	if number, ok := strings.CutPrefix(env("CIRCLE_BRANCH"), "pull/"); ok { // of a fork
		b.Ref = "refs/pull/" + number
	}
	return b
}

// readJenkins knows the commit through its Git plugin, and who started a build through another one.
func readJenkins(env func(string) string) manifest.CIBinding {
	branch := env("BRANCH_NAME")
	if branch == "" {
		branch = strings.TrimPrefix(env("GIT_BRANCH"), "origin/")
	}
	return manifest.CIBinding{
		CommitSHA: env("GIT_COMMIT"), Repo: repoPath(env("GIT_URL")), Ref: firstRef("", env("TAG_NAME"), branch, ""),
		RunID: env("BUILD_NUMBER"), WorkflowRef: env("JOB_NAME"), Actor: env("BUILD_USER_ID"),
	}
}

// firstRef is the first that is there, as Git writes it.
func firstRef(ref, tag, branch, otherwise string) string {
	switch {
	case ref != "":
		return ref
	case tag != "":
		return "refs/tags/" + tag
	case branch != "":
		return "refs/heads/" + branch
	}
	return otherwise
}

// repoPath is the path of a Git URL. The rest may hold a password, and is never recorded.
func repoPath(remote string) string {
	path := ""
	if u, err := url.Parse(remote); err == nil && u.Host != "" {
		path = u.Path
	} else if host, rest, ok := strings.Cut(remote, ":"); ok && !strings.Contains(remote, "://") && strings.Contains(host, "@") { // git@host:owner/name.git
		path = rest
	}
	return strings.TrimSuffix(strings.Trim(path, "/"), ".git")
}
