package capture

import (
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/manifest"
)

const (
	sha   = "9f2c4a1b7d3e5f60718293a4b5c6d7e8f9012345"
	other = "0123456789abcdef0123456789abcdef01234567"
)

func environment(vars ...string) func(string) string {
	return func(name string) string {
		for _, v := range vars {
			if value, ok := strings.CutPrefix(v, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

// PCK-27
func TestEveryCISystemIsReadFromItsEnvironment(t *testing.T) {
	for name, c := range map[string]struct {
		env  []string
		want manifest.CIBinding
	}{
		"GitHub push": {
			[]string{"CI=true", "GITHUB_ACTIONS=true", "GITHUB_SHA=" + sha, "GITHUB_REPOSITORY=acme/agent", "GITHUB_REF=refs/heads/main",
				"GITHUB_RUN_ID=9876543210", "GITHUB_RUN_ATTEMPT=2", "GITHUB_ACTOR=octocat", "GITHUB_EVENT_NAME=push", "GITHUB_TOKEN=SK-CANARY",
				"GITHUB_WORKFLOW_REF=acme/agent/.github/workflows/assay.yml@refs/heads/main"},
			manifest.CIBinding{Provider: "github_actions", CommitSHA: sha, Repo: "acme/agent", Ref: "refs/heads/main", RunID: "9876543210",
				RunAttempt: "2", WorkflowRef: "acme/agent/.github/workflows/assay.yml@refs/heads/main", Actor: "octocat"},
		},
		"GitLab branch": {
			[]string{"CI=true", "GITLAB_CI=true", "CI_COMMIT_SHA=" + sha, "CI_PROJECT_PATH=acme/ai/agent", "CI_COMMIT_BRANCH=main",
				"CI_COMMIT_REF_NAME=main", "CI_PIPELINE_ID=1234", "CI_JOB_ID=5678", "CI_CONFIG_PATH=.gitlab-ci.yml", "GITLAB_USER_LOGIN=ada", "CI_JOB_TOKEN=SK-CANARY"},
			manifest.CIBinding{Provider: "gitlab_ci", CommitSHA: sha, Repo: "acme/ai/agent", Ref: "refs/heads/main", RunID: "1234", RunAttempt: "5678",
				WorkflowRef: "acme/ai/agent/.gitlab-ci.yml@refs/heads/main", Actor: "ada"},
		},
		"GitLab merge request": {
			[]string{"GITLAB_CI=true", "CI_COMMIT_SHA=" + sha, "CI_PROJECT_PATH=acme/agent", "CI_COMMIT_REF_NAME=fix/1",
				"CI_MERGE_REQUEST_REF_PATH=refs/merge-requests/7/head", "CI_PIPELINE_ID=1", "CI_CONFIG_PATH=ci.yml@acme/templates"},
			manifest.CIBinding{Provider: "gitlab_ci", CommitSHA: sha, Repo: "acme/agent", Ref: "refs/merge-requests/7/head", RunID: "1", WorkflowRef: "ci.yml@acme/templates"},
		},
		"GitLab tag": {
			[]string{"GITLAB_CI=true", "CI_COMMIT_SHA=" + sha, "CI_COMMIT_TAG=v1.0", "CI_COMMIT_REF_NAME=v1.0"},
			manifest.CIBinding{Provider: "gitlab_ci", CommitSHA: sha, Ref: "refs/tags/v1.0"},
		},
		"CircleCI": {
			[]string{"CI=true", "CIRCLECI=true", "CIRCLE_SHA1=" + sha, "CIRCLE_PROJECT_USERNAME=acme", "CIRCLE_PROJECT_REPONAME=agent",
				"CIRCLE_BRANCH=main", "CIRCLE_WORKFLOW_ID=0b1c6a54-7f2e-4a55-a9a1-5a5a5a5a5a5a", "CIRCLE_BUILD_NUM=42", "CIRCLE_USERNAME=ada"},
			manifest.CIBinding{Provider: "circleci", CommitSHA: sha, Repo: "acme/agent", Ref: "refs/heads/main",
				RunID: "0b1c6a54-7f2e-4a55-a9a1-5a5a5a5a5a5a", RunAttempt: "42", Actor: "ada"},
		},
		"CircleCI, pull request of a fork": {
			[]string{"CIRCLECI=true", "CIRCLE_SHA1=" + sha, "CIRCLE_BRANCH=pull/12"},
			manifest.CIBinding{Provider: "circleci", CommitSHA: sha, Ref: "refs/pull/12"},
		},
		"Jenkins": {
			[]string{"JENKINS_URL=https://ci.acme.example/", "GIT_COMMIT=" + sha, "GIT_URL=https://bot:SK-CANARY@git.acme.example/acme/agent.git",
				"GIT_BRANCH=origin/main", "BUILD_NUMBER=17", "JOB_NAME=acme/agent/main"},
			manifest.CIBinding{Provider: "jenkins", CommitSHA: sha, Repo: "acme/agent", Ref: "refs/heads/main", RunID: "17", WorkflowRef: "acme/agent/main"},
		},
		"Jenkins, several branches, SSH": {
			[]string{"JENKINS_URL=https://ci.acme.example/", "GIT_COMMIT=" + sha, "GIT_URL=git@github.com:acme/agent.git", "BRANCH_NAME=PR-3", "GIT_BRANCH=PR-3"},
			manifest.CIBinding{Provider: "jenkins", CommitSHA: sha, Repo: "acme/agent", Ref: "refs/heads/PR-3"},
		},
		"anything else": {
			[]string{"BUILDKITE=true", "ASSAY_CI_COMMIT_SHA=" + sha, "ASSAY_CI_REPO=acme/agent", "ASSAY_CI_REF=refs/heads/main", "ASSAY_CI_RUN_ID=1",
				"ASSAY_CI_RUN_ATTEMPT=3", "ASSAY_CI_WORKFLOW_REF=pipeline.yml", "ASSAY_CI_ACTOR=Zoë"},
			manifest.CIBinding{Provider: "local", CommitSHA: sha, Repo: "acme/agent", Ref: "refs/heads/main", RunID: "1", RunAttempt: "3", WorkflowRef: "pipeline.yml", Actor: "Zoë"},
		},
		"GitHub pull request, bound to its head": {
			[]string{"GITHUB_ACTIONS=true", "GITHUB_SHA=" + sha, "GITHUB_EVENT_NAME=pull_request", "GITHUB_REF=refs/pull/5/merge", "ASSAY_CI_COMMIT_SHA=" + other},
			manifest.CIBinding{Provider: "github_actions", CommitSHA: other, Ref: "refs/pull/5/merge"},
		},
	} {
		got, notes, err := ReadCI("auto", environment(c.env...))
		if err != nil || got == nil || *got != c.want || len(notes) > 0 {
			t.Errorf("%s: %+v, %q, %v\nwant %+v", name, got, notes, err, c.want)
		}
	}
}

// PCK-28
func TestWhatIsMalformedIsNeverBound(t *testing.T) {
	for _, c := range []struct {
		env   []string
		bound bool
		says  string
	}{
		{[]string{"GITHUB_ACTIONS=true"}, false, `the commit "" is not`},
		{[]string{"GITHUB_ACTIONS=true", "GITHUB_SHA=HEAD"}, false, `"HEAD"`},
		{[]string{"GITHUB_ACTIONS=true", "GITHUB_SHA=" + strings.ToUpper(sha)}, false, "not 40 or 64 lowercase"},
		{[]string{"GITHUB_ACTIONS=true", "GITHUB_SHA=" + sha + sha[:23]}, false, "not 40"},
		{[]string{"GITHUB_ACTIONS=true", "GITHUB_SHA=" + sha + "\n"}, false, "not 40"},
		{[]string{"GITHUB_ACTIONS=true", "GITHUB_SHA=" + sha, "ASSAY_CI_COMMIT_SHA=main"}, false, `"main"`}, // no falling back
		{[]string{"GITHUB_ACTIONS=true", "GITHUB_SHA=" + sha, "GITHUB_REF=a\u202eb"}, true, "without ref"},
		{[]string{"GITHUB_ACTIONS=true", "GITHUB_SHA=" + sha, "GITHUB_ACTOR=a\x1b[2Jb"}, true, "without actor"},
		{[]string{"GITHUB_ACTIONS=true", "GITHUB_SHA=" + sha, "GITHUB_REPOSITORY=\xff"}, true, "without repo"},
		{[]string{"GITHUB_ACTIONS=true", "GITHUB_SHA=" + sha, "GITHUB_RUN_ID=" + strings.Repeat("1", 513)}, true, "without run_id"},
		{[]string{"GITHUB_ACTIONS=true", "GITHUB_SHA=" + sha, "GITHUB_EVENT_NAME=pull_request"}, true, "not the head"},
		{[]string{"GITHUB_ACTIONS=true", "GITHUB_SHA=" + sha, "GITHUB_EVENT_NAME=pull_request_target"}, true, "not the head"},
	} {
		got, notes, err := ReadCI("auto", environment(c.env...))
		if err != nil || (got != nil) != c.bound || len(notes) != 1 || !strings.Contains(notes[0], c.says) {
			t.Errorf("%q: %+v, %q, %v; want a note with %q", c.env, got, notes, err, c.says)
		}
		if got != nil && *got != (manifest.CIBinding{Provider: "github_actions", CommitSHA: sha}) {
			t.Errorf("%q: %+v", c.env, got)
		}
	}
}

func TestACommitOfASHA256RepositoryIsBound(t *testing.T) {
	long := sha + sha[:24]
	got, notes, err := ReadCI("auto", environment("GITHUB_ACTIONS=true", "GITHUB_SHA="+long))
	if err != nil || len(notes) > 0 || got == nil || got.CommitSHA != long {
		t.Errorf("%+v, %q, %v", got, notes, err)
	}
}

func TestACISystemThatIsNamedMustBeThere(t *testing.T) {
	here := environment("GITHUB_ACTIONS=true", "GITHUB_SHA="+sha, "GITLAB_CI=true", "JENKINS_URL=x")
	for system, says := range map[string]string{
		"gitlab":    `the commit ""`,
		"circleci":  "CIRCLECI=true is not set",
		"local":     "ASSAY_CI_COMMIT_SHA is not set",
		"buildkite": "expected auto, off, github, gitlab, circleci, jenkins, local",
		"":          "expected auto",
	} {
		if got, _, err := ReadCI(system, here); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %+v, %v; want an error with %q", system, got, err, says)
		}
	}
	for system, want := range map[string]string{"auto": "github_actions", "github": "github_actions"} {
		if got, _, err := ReadCI(system, here); err != nil || got == nil || got.Provider != want {
			t.Errorf("%q: %+v, %v", system, got, err)
		}
	}
	if got, notes, err := ReadCI("off", here); got != nil || notes != nil || err != nil {
		t.Errorf("off: %+v, %q, %v", got, notes, err)
	}
	if got, notes, err := ReadCI("auto", environment("CI=true", "GITHUB_ACTIONS=false", "GITHUB_SHA="+sha)); got != nil || notes != nil || err != nil {
		t.Errorf("nowhere: %+v, %q, %v", got, notes, err)
	}
}

// PCK-29
func TestNothingButThePathOfAGitURLIsKept(t *testing.T) {
	for remote, want := range map[string]string{
		"https://u:p@h.example/a/b.git":    "a/b",
		"https://h.example/g/s/b":          "g/s/b",
		"ssh://git@h.example:22/a/b.git":   "a/b",
		"git@h.example:a/b.git":            "a/b",
		"https://h.example/a/b?token=x#y":  "a/b",
		"/srv/git/b.git":                   "",
		"file:///srv/git/b.git":            "",
		"../b":                             "",
		"C:\\git\\b":                       "",
		"https://u:p%zz@h.example/a/b.git": "",
		"":                                 "",
	} {
		if got := repoPath(remote); got != want {
			t.Errorf("%s: %q, want %q", remote, got, want)
		}
	}
}

func TestAVariableOfAnotherSystemSaysNothing(t *testing.T) {
	got, notes, err := ReadCI("auto", environment("GITLAB_CI=true", "CI_COMMIT_SHA="+sha, "GITHUB_EVENT_NAME=pull_request", "GITHUB_SHA="+other))
	if err != nil || len(notes) != 0 || got == nil || got.CommitSHA != sha {
		t.Errorf("%+v, %q, %v", got, notes, err)
	}
}

// Half of a name of a workflow is none.
func TestAGitLabConfigurationIsNamedWithItsPlaceOrAsItIs(t *testing.T) {
	for vars, want := range map[string]string{
		"": "",
		"CI_PROJECT_PATH=a/b CI_COMMIT_BRANCH=main":                                 "",
		"CI_CONFIG_PATH=ci.yml":                                                     "ci.yml",
		"CI_CONFIG_PATH=ci.yml CI_PROJECT_PATH=a/b":                                 "ci.yml",
		"CI_CONFIG_PATH=ci.yml CI_COMMIT_BRANCH=main":                               "ci.yml",
		"CI_CONFIG_PATH=ci.yml CI_PROJECT_PATH=a/b CI_COMMIT_TAG=v1":                "a/b/ci.yml@refs/tags/v1",
		"CI_CONFIG_PATH=ci.yml@x/y CI_PROJECT_PATH=a/b CI_COMMIT_BRANCH=main":       "ci.yml@x/y",
		"CI_CONFIG_PATH=https://x.example/c CI_PROJECT_PATH=a/b CI_COMMIT_BRANCH=m": "https://x.example/c",
	} {
		got, _, err := ReadCI("auto", environment(append(strings.Fields(vars), "GITLAB_CI=true", "CI_COMMIT_SHA="+sha)...))
		if err != nil || got == nil || got.WorkflowRef != want {
			t.Errorf("%s: %+v, %v; want %q", vars, got, err, want)
		}
	}
}

func TestALongValueIsCutInANote(t *testing.T) {
	for n, want := range map[int]string{0: `""`, 79: `"` + strings.Repeat("x", 79) + `"`, 80: `"` + strings.Repeat("x", 80) + `"`, 81: `"` + strings.Repeat("x", 80) + `"...`} {
		if got := printable(strings.Repeat("x", n)); got != want {
			t.Errorf("%d bytes: %s", n, got)
		}
	}
	if got := printable("\x1b[2Jé"); got != `"\x1b[2J\u00e9"` {
		t.Errorf("%s", got)
	}
}

// A repository is an owner and a name, a ref the first that is there; half of one is nothing.
func TestPartsThatAreMissingAreNotMadeUp(t *testing.T) {
	for vars, want := range map[string]manifest.CIBinding{
		"CIRCLECI=true CIRCLE_SHA1=SHA CIRCLE_PROJECT_USERNAME=acme":                        {Provider: "circleci"},
		"CIRCLECI=true CIRCLE_SHA1=SHA CIRCLE_PROJECT_REPONAME=agent":                       {Provider: "circleci"},
		"CIRCLECI=true CIRCLE_SHA1=SHA":                                                     {Provider: "circleci"},
		"CIRCLECI=true CIRCLE_SHA1=SHA CIRCLE_TAG=v1 CIRCLE_BRANCH=main":                    {Provider: "circleci", Ref: "refs/tags/v1"},
		"CIRCLECI=true CIRCLE_SHA1=SHA CIRCLE_PROJECT_USERNAME=a CIRCLE_PROJECT_REPONAME=b": {Provider: "circleci", Repo: "a/b"},
		"JENKINS_URL=x GIT_COMMIT=SHA":                                                      {Provider: "jenkins"},
		"JENKINS_URL=x GIT_COMMIT=SHA TAG_NAME=v1 BRANCH_NAME=main":                         {Provider: "jenkins", Ref: "refs/tags/v1"},
		"JENKINS_URL=x GIT_COMMIT=SHA GIT_BRANCH=origin/main BUILD_USER_ID=ada":             {Provider: "jenkins", Ref: "refs/heads/main", Actor: "ada"},
		"JENKINS_URL=x GIT_COMMIT=SHA BRANCH_NAME=dev GIT_BRANCH=origin/main":               {Provider: "jenkins", Ref: "refs/heads/dev"},
		"GITLAB_CI=true CI_COMMIT_SHA=SHA":                                                  {Provider: "gitlab_ci"},
		"GITLAB_CI=true CI_COMMIT_SHA=SHA CI_COMMIT_REF_NAME=x":                             {Provider: "gitlab_ci", Ref: "x"},
		"GITLAB_CI=true CI_COMMIT_SHA=SHA CI_COMMIT_REF_NAME=x CI_COMMIT_BRANCH=b":          {Provider: "gitlab_ci", Ref: "refs/heads/b"},
		"GITLAB_CI=true CI_COMMIT_SHA=SHA CI_COMMIT_BRANCH=b CI_COMMIT_TAG=t":               {Provider: "gitlab_ci", Ref: "refs/tags/t"},
		"GITLAB_CI=true CI_COMMIT_SHA=SHA CI_MERGE_REQUEST_REF_PATH=r CI_COMMIT_TAG=t":      {Provider: "gitlab_ci", Ref: "r"},
		"GITHUB_ACTIONS=true GITHUB_SHA=SHA":                                                {Provider: "github_actions"},
	} {
		want.CommitSHA = sha
		got, notes, err := ReadCI("auto", environment(strings.Fields(strings.Replace(vars, "=SHA", "="+sha, 1))...))
		if err != nil || len(notes) != 0 || got == nil || *got != want {
			t.Errorf("%s: %+v, %q, %v; want %+v", vars, got, notes, err, want)
		}
	}
}
