package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"golang.org/x/sync/errgroup"
)

// eventConnection is an idempotent producer that sends one request to each broker, with one
// batch for each of its partitions, and waits for the answers. Kafka accepts a batch as a
// whole or not at all, so no event overtakes one of its order. sarama's own producer divides
// events into batches as it likes, may send the next one after one that has failed, and
// passes each event through six goroutines.
type eventConnection struct {
	topic       string
	client      sarama.Client
	partitioner sarama.Partitioner
	producer    *sarama.InitProducerIDResponse
	next        map[int32]int32 // sequence number of the next record, by partition
}

func newEventConnection(ctx context.Context, cfg Config, conf *sarama.Config) (*eventConnection, error) {
	client, err := sarama.NewClient(cfg.Brokers, conf)
	if err != nil {
		return nil, err
	}
	c := &eventConnection{topic: cfg.Topic, client: client, partitioner: conf.Producer.Partitioner(cfg.Topic), next: make(map[int32]int32)}
	if c.producer, err = initProducer(ctx, client); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return c, nil
}

// initProducer gets the id of a producer. A broker that has just started gives none for some seconds.
func initProducer(ctx context.Context, client sarama.Client) (*sarama.InitProducerIDResponse, error) {
	for {
		producer, err := client.InitProducerID()
		switch {
		case err != nil:
			return nil, err
		case producer.Err == sarama.ErrNoError:
			return producer, nil
		case producer.Err != sarama.ErrOffsetsLoadInProgress && producer.Err != sarama.ErrConsumerCoordinatorNotAvailable:
			return nil, producer.Err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, producer.Err
		}
	}
}

// send sends the first n records, which fit into one batch for each partition. It returns once
// they are acknowledged, with the records of the batches that Kafka will never accept. After
// an error any of them may be published; the connection must not be used again.
func (c *eventConnection) send(records []eventRecord) (n int, refused []eventRecord, err error) {
	n, batches, err := c.batches(records)
	if err != nil {
		return 0, nil, err
	}
	requests := make(map[*sarama.Broker]*sarama.ProduceRequest)
	now := time.Now().Truncate(time.Millisecond)
	for partition, records := range batches {
		leader, err := c.client.Leader(c.topic, partition)
		if err != nil {
			return 0, nil, err
		}
		if requests[leader] == nil {
			conf := c.client.Config().Producer
			requests[leader] = &sarama.ProduceRequest{
				Version: produceVersion, RequiredAcks: conf.RequiredAcks, Timeout: int32(conf.Timeout.Milliseconds()),
			}
		}
		batch := &sarama.RecordBatch{
			Version: 2, FirstTimestamp: now, MaxTimestamp: now, LastOffsetDelta: int32(len(records) - 1),
			ProducerID: c.producer.ProducerID, ProducerEpoch: c.producer.ProducerEpoch, FirstSequence: c.next[partition],
		}
		for i := range records {
			records[i].OffsetDelta = int64(i)
			batch.Records = append(batch.Records, &records[i].Record)
		}
		requests[leader].AddBatch(c.topic, partition, batch)
	}
	answers, err := c.produce(requests)
	if err != nil {
		return n, nil, err
	}
	for partition, records := range batches {
		switch answer := answers[partition]; {
		case answer == nil:
			return n, nil, fmt.Errorf("partition %d: %w", partition, sarama.ErrIncompleteResponse)
		case answer.Err == sarama.ErrNoError:
			c.next[partition] = (c.next[partition] + int32(len(records))) & math.MaxInt32
		case isFinal(answer.Err):
			refused = append(refused, records...)
		default:
			return n, nil, fmt.Errorf("partition %d: %w", partition, answer.Err)
		}
	}
	return n, refused, nil
}

// produceVersion is that of Kafka 2.1.
const produceVersion = 7

// batches divides the first n records by their partitions, up to one that does not fit. An
// event that is larger has a batch of its own.
func (c *eventConnection) batches(records []eventRecord) (n int, batches map[int32][]eventRecord, err error) {
	partitions, err := c.client.Partitions(c.topic)
	if err != nil {
		return 0, nil, err
	}
	batches, sizes := make(map[int32][]eventRecord), make(map[int32]int)
	for _, r := range records {
		p, err := c.partitioner.Partition(&sarama.ProducerMessage{Key: sarama.ByteEncoder(r.Key)}, int32(len(partitions)))
		if err != nil {
			return 0, nil, err
		}
		size := r.size()
		if sizes[p] > 0 && sizes[p]+size > eventBatch {
			break
		}
		batches[p], sizes[p] = append(batches[p], r), sizes[p]+size
		n++
	}
	return n, batches, nil
}

// produce sends each request to its broker, and returns the answers by partition.
func (c *eventConnection) produce(requests map[*sarama.Broker]*sarama.ProduceRequest) (map[int32]*sarama.ProduceResponseBlock, error) {
	answers := make(map[int32]*sarama.ProduceResponseBlock)
	var mu sync.Mutex
	var sent errgroup.Group
	for broker, request := range requests {
		sent.Go(func() error {
			answer, err := broker.Produce(request)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(answers, answer.Blocks[c.topic])
			return nil
		})
	}
	return answers, sent.Wait()
}
