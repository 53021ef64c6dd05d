package audit_test

import "strings"

// moreKinds are further texts that hold a secret, by the rule that must find
// it, in the forms that their providers document. They are put together, so
// that this file holds none.
func moreKinds() map[string]func(i int) string {
	join := func(parts ...any) func(int) string {
		return func(i int) string {
			var s strings.Builder
			for n, p := range parts {
				switch p := p.(type) {
				case string:
					s.WriteString(p)
				case piece:
					s.WriteString(p.of(i+n, p.n))
				}
			}
			return s.String() + "\n"
		}
	}
	an := func(n int) piece { return piece{letters, n} }
	hx := func(n int) piece { return piece{hex, n} }
	up := func(n int) piece { return piece{upper, n} }
	dg := func(n int) piece { return piece{digits, n} }
	list := map[string]func(i int) string{
		"aws-bedrock-key":         join("key ABS", "K", an(128), "="),
		"aws-mws-token":           join("token amzn.", "mws.", hx(8), "-", hx(4), "-", hx(4), "-", hx(4), "-", hx(12)),
		"google-refresh-token":    join("refresh 1//", "0", an(98)),
		"firebase-key":            join("fcm: ", an(11), ":APA", "91b", an(134)),
		"azure-ad-secret":         join("ad: ", an(3), "8Q", "~", an(34)),
		"azure-sas":               join("https://a.blob.example.net/c?sv=2022-11-02&se=2030-01-01&si", "g=", an(43), "%3D"),
		"azure-devops-token":      join("pat: ", an(76), "AZ", "DO", an(4)),
		"azure-shared-access-key": join("Endpoint=sb://n.example.net/;SharedAccess", "Key=", an(43), "="),
		"tencent-key":             join("id AKI", "D", an(32)),
		"scaleway-key":            join("key SC", "W", up(17), " ", hx(8), "-", hx(4), "-", hx(4), "-", hx(4), "-", hx(12)),
		"heroku-key":              join("key HRK", "U-AA", an(58)),
		"fly-token":               join("FlyV1 fm", "2_", an(160)),
		"pulumi-token":            join("pu", "l-", hx(40)),
		"planetscale-token":       join("pscale_", "tkn_", an(43)),
		"supabase-token":          join("sb", "p_", hx(40)),
		"tailscale-key":           join("tskey", "-auth-k", an(11), "-", an(32)),
		"doppler-token":           join("dp.p", "t.", an(43)),
		"onepassword-token":       join("op", "s_eyJ", an(300)),
		"kubernetes-secret":       join("kind: Sec", "ret\nmetadata:\n  name: x\ndata:\n  key: ", an(24)),
		"terraform-state-content": join(`{"version": 4, "terraform_ver`, `sion": "1.7.0", "serial": 3}`),
		"registry-auth":           join(`{"r.example.org": {"au`, `th": "`, an(28), `"}}`),
		"atlassian-token":         join("ATATT", "3xFfGF0", an(180)),
		"discord-webhook":         join("https://discord.com/api/web", "hooks/", dg(18), "/", an(68)),
		"teams-webhook":           join("https://x.webhook.office.com/webhookb2/", hx(73), "/Incoming", "Webhook/", hx(32), "/", hx(36)),
		"signing-secret":          join("whs", "ec_", an(32)),
		"square-token":            join("sq0", "csp-", an(43)),
		"braintree-token":         join("access_token$prod", "uction$", hx(16), "$", hx(32)),
		"npm-auth":                join("registry=x\n_au", "th=", an(24)),
		"index-url-password":      join("index-url = https", "://me:", an(16), "@p.example.org/simple"),
		"nuget-key":               join("oy", "2", hx(43)),
		"artifactory-token":       join("AK", "Cp", an(69)),
		"mailchimp-key":           join("key ", hx(32), "-us", "14"),
		"brevo-key":               join("xkey", "sib-", hx(64), "-", an(16)),
		"model-provider-key":      join("gs", "k_", an(52)),
		"telegram-bot":            join("bot '", dg(9), ":A", "A", an(33), "'"),
		"grafana-token":           join("gls", "a_", an(32), "_", hx(8)),
		"sentry-token":            join("sntr", "yu_", hx(64)),
		"linear-key":              join("lin_", "api_", an(40)),
		"notion-token":            join("nt", "n_", an(46)),
		"postman-key":             join("PMA", "K-", hx(24), "-", hx(34)),
		"figma-token":             join("fig", "d_", an(40)),
		"dropbox-token":           join("token s", "l.", an(140)),
		"sonar-token":             join("sq", "u_", hx(40)),
		"okta-token":              join("Auth: SSW", "S 00", an(40)),
		"netlify-token":           join("nf", "p_", an(36)),
		"build-token":             join("bku", "a_", hx(40)),
		"mapbox-token":            join("sk", ".eyJ", an(60), ".", an(22)),
		"jenkins-secret":          join("<password>{AQAA", "ABAAAA", an(44), "=}</password>"),
	}
	for rule, make := range passwordKinds(join) {
		list[rule] = make
	}
	return list
}

// piece is so many characters made by a function.
type piece struct {
	of func(i, n int) string
	n  int
}

func digits(i, n int) string { return strings.Repeat("7203598416"[i%7:], 7)[:n] }

// passwordKinds are those that are known by what stands beside them.
func passwordKinds(join func(parts ...any) func(int) string) map[string]func(i int) string {
	pw := func(n int) piece { return piece{letters, n} }
	hx := func(n int) piece { return piece{hex, n} }
	return map[string]func(i int) string{
		"password-hash-sha1":       join("admin:{SH", "A}", pw(27), "="),
		"password-hash-des":        join("\nroot:", pw(13), ":19000:0:99999", ":7:::"),
		"jdbc-oracle-password":     join("jdbc:ora", "cle:thin:app/", pw(12), "@//db:1521/x"),
		"url-password":             join("postgres", "://app:", pw(16), "@db.internal:5432/x"),
		"git-url-password":         join("url = https", "://me:", pw(20), "@github", ".com/o/r"),
		"connection-password":      join("Server=db;User ID=sa;Pass", "word=", pw(16), ";"),
		"environment-secret":       join("\nexport SERVICE_", "TOKEN=", pw(32)),
		"property-secret":          join("\nspring.datasource.pass", "word=", pw(14)),
		"yaml-password":            join("\n  username: app\n  pass", "word: ", pw(12), "7x"),
		"client-secret":            join(`"client_`, `secret": "`, pw(40), `"`),
		"authorization-header":     join("Authorization: Ba", "sic ", pw(30)),
		"php-password":             join("define( 'DB_PASS", "WORD', '", pw(16), "' );"),
		"framework-secret":         join("SECRET_", "KEY = '", pw(50), "'"),
		"ansible-vault":            join("$ANSIBLE_", "VAULT;1.1;AES256\n", hx(80)),
		"ansible-password":         join("host1 ansible_ssh_", "pass=", pw(12)),
		"pgpass-content":           join("\ndb.internal:54", "32:app:app:", pw(14)),
		"my-cnf-content":           join("[cli", "ent]\nuser=root\npassword=", pw(14)),
		"sql-password":             join("CREATE USER a IDENTIFIED ", "BY '", pw(14), "';"),
		"wifi-password-content":    join("network={\n ssid=\"x\"\n ps", "k=\"", pw(14), "\"\n}"),
		"ini-password":             join("user = app\nother = 1\npass", "word = ", pw(14)),
		"xml-password":             join("<username>app</username><pass", "word>", pw(14), "</password>"),
		"browser-password":         join(`"encryptedPass`, `word":"`, pw(40), `"`),
		"cloud-config":             join("#cloud-", "config\nuser: a\npassword: ", pw(14)),
		"dhcp-lease-content":       join("\nlease", " {\n  interface \"eth0\";\n  fixed-address 10.0.0.7;\n}"),
		"windows-unattend-content": join("<AdministratorPass", "word><Value>", pw(24), "</Value>"),
		"minisign-key":             join("RWRT", "Y0Iy", pw(200)),
		"private-key-base64":       join("KEY: LS0tLS1C", "RUdJTiBQUklWQVRFIEtFWS0tLS0tC", pw(200)),
		"gnupg-key-content":        join("\nKey: (private", "-key (rsa (n #00", hx(64), "#)))"),
		"jwk-private":              join(`{"k`, `ty": "EC", "crv": "P-256", "d": "`, pw(43), `"}`),
		"dnssec-key":               join("Private-key-", "format: v1.3\nAlgorithm: 13\nPrivateKey: ", pw(43), "="),
		"password-hash-old":        join("admin:$ap", "r1$", pw(8), "$", pw(22)),
		"jwt":                      join("ey", "JhbGciOiJIUzI1NiJ9.ey", "J", pw(30), ".", pw(43)),
	}
}
