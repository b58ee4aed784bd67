package main

import "github.com/spf13/cobra"

const (
	asksCosigners = "policy `FILE` whose cosigners are asked, and whose quorum a checkpoint needs to be published; without it nobody is asked. MUSTER_POLICY is not read"
	tellsURL      = "policy `FILE`; only the URL in its log line is used, without --log [MUSTER_POLICY]"
)

// heeds has the global flags that mean something to a command, for commands
// to which not all do; in other words where they mean something else.
var heeds = map[string]map[string]string{
	"audit":        {"log": "", "policy": tellsURL, "token": ""},
	"backup":       {},
	"bench":        {"log": "", "policy": tellsURL, "token": "", "json": ""},
	"demo":         {"json": ""},
	"evidence":     {"json": ""},
	"fsck":         {},
	"import":       {"log": "", "policy": tellsURL, "token": "", "json": ""},
	"init":         {},
	"policy":       {"json": ""},
	"recover":      {"policy": "policy `FILE` whose cosigners say how far the log has signed. MUSTER_POLICY is not read", "token": "`FILE` of the token that --from asks for. MUSTER_TOKEN is not read"},
	"seal":         {"policy": asksCosigners},
	"serve":        {"policy": asksCosigners},
	"status":       {"log": "", "policy": "policy `FILE` whose cosigners are asked too [MUSTER_POLICY]", "json": ""},
	"submit":       {"log": "", "policy": tellsURL, "token": "", "json": ""},
	"token":        {"json": ""},
	"verify-proof": {"policy": "", "json": ""},
	"version":      {"json": ""},
	"witness":      {},
}

// helpWith makes a command's help tell of these global flags, and no others.
func helpWith(c *cobra.Command, heeds map[string]string) {
	help := c.HelpFunc()
	c.SetHelpFunc(func(c *cobra.Command, args []string) {
		for _, name := range []string{"json", "log", "policy", "state", "token"} {
			f := c.InheritedFlags().Lookup(name)
			text, heeded := heeds[name]
			f.Hidden = !heeded
			if text != "" {
				f.Usage, f.DefValue = text, "" // what the environment says may not count
			}
		}
		help(c, args)
	})
}
