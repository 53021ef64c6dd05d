package push

// ReferrersTag is for tests.
var ReferrersTag = referrersTag
