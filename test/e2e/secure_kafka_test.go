package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"service-courier/test/certificates"
	"service-courier/test/realkafka"
)

// The listeners of the secure broker, and its user.
const (
	listenTLS     = "TLS"     // no authentication
	listenMutual  = "MUTUAL"  // by certificate
	listenSASL    = "SASL"    // by password
	listenExpired = "EXPIRED" // with an expired certificate
	user          = "courier"
)

// secureKafka starts a broker with an authorizer. Its first, unencrypted listener grants
// all rights, for the tests and service-order.
func secureKafka(t *testing.T, files folder, ca *certificates.Authority, password string) *realkafka.Broker {
	t.Helper()
	keystore := func(name string, validFor time.Duration) string {
		p := ca.Issue("broker", validFor)
		return files.put(name+".keystore", append(p.Key, p.Certificate...))
	}
	const (
		jaas  = "org.apache.kafka.common.security."
		plain = jaas + `plain.PlainLoginModule required user_%s="%s";`
		scram = jaas + `scram.ScramLoginModule required;`
		entry = "%s=[name=%s,password=%s]"
	)
	return realkafka.Require(t, realkafka.Options{
		Listeners: map[string]string{listenTLS: "SSL", listenMutual: "SSL", listenSASL: "SASL_SSL", listenExpired: "SSL"},
		Properties: map[string]string{
			"ssl.keystore.type":                                 "PEM",
			"ssl.keystore.location":                             keystore("broker", time.Hour),
			"ssl.truststore.type":                               "PEM",
			"ssl.truststore.location":                           files.put("broker.truststore", ca.PEM),
			"listener.name.mutual.ssl.client.auth":              "required",
			"listener.name.expired.ssl.keystore.type":           "PEM",
			"listener.name.expired.ssl.keystore.location":       keystore("expired", -time.Minute),
			"sasl.enabled.mechanisms":                           "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
			"listener.name.sasl.plain.sasl.jaas.config":         fmt.Sprintf(plain, user, password),
			"listener.name.sasl.scram-sha-256.sasl.jaas.config": scram,
			"listener.name.sasl.scram-sha-512.sasl.jaas.config": scram,
			"authorizer.class.name":                             "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
			"super.users":                                       "User:ANONYMOUS",
		},
		Format: []string{
			"--add-scram", fmt.Sprintf(entry, "SCRAM-SHA-256", user, password),
			"--add-scram", fmt.Sprintf(entry, "SCRAM-SHA-512", user, password),
		},
	})
}

// right is the permission for one operation.
type right struct {
	resource  sarama.AclResourceType
	name      string
	operation sarama.AclOperation
}

func (s *stack) topicRight(operation sarama.AclOperation) right {
	return right{sarama.AclResourceTopic, s.topic, operation}
}

func (s *stack) groupRight() right {
	return right{sarama.AclResourceGroup, s.group, sarama.AclOperationRead}
}

// allow grants rights.
func (s *stack) allow(principal string, rights ...right) {
	s.Helper()
	admin, err := sarama.NewClusterAdminFromClient(s.client())
	if err != nil {
		s.Fatal(err)
	}
	var acls []*sarama.ResourceAcls
	for _, r := range rights {
		acls = append(acls, &sarama.ResourceAcls{
			Resource: sarama.Resource{ResourceType: r.resource, ResourceName: r.name, ResourcePatternType: sarama.AclPatternLiteral},
			Acls:     []*sarama.Acl{{Principal: principal, Host: "*", Operation: r.operation, PermissionType: sarama.AclPermissionAllow}},
		})
	}
	if err := admin.CreateACLs(acls); err != nil {
		s.Fatal(err)
	}
}

// revoke revokes a right.
func (s *stack) revoke(principal string, r right) {
	s.Helper()
	admin, err := sarama.NewClusterAdminFromClient(s.client())
	if err != nil {
		s.Fatal(err)
	}
	deleted, err := admin.DeleteACL(sarama.AclFilter{
		Version: 1, ResourceType: r.resource, ResourceName: &r.name, ResourcePatternTypeFilter: sarama.AclPatternLiteral,
		Principal: &principal, Operation: r.operation, PermissionType: sarama.AclPermissionAllow,
	}, false)
	if err != nil || len(deleted) != 1 {
		s.Fatalf("deleted %d rights: %v", len(deleted), err)
	}
}

// renewKeystore changes the keystore of a listener without a restart.
func (s *stack) renewKeystore(listener, path string) {
	s.Helper()
	admin, err := sarama.NewClusterAdminFromClient(s.client())
	if err != nil {
		s.Fatal(err)
	}
	err = admin.IncrementalAlterConfig(sarama.BrokerResource, "1", map[string]sarama.IncrementalAlterConfigsEntry{
		"listener.name." + listener + ".ssl.keystore.location": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &path},
	}, false)
	if err != nil {
		s.Fatal(err)
	}
}
