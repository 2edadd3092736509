package devstack

func kafkaChild() {}
